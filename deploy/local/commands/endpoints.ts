import { adminOf } from '../system/admin.ts';
import { portsAt } from '../configuration/ports.ts';
import type { Prepared } from '../system/prepare.ts';
import type { Profile } from '../profiles/profile.ts';

/** Prints where everything is, once it runs. */
export function sayWhere(options: {
  offset: number;
  dataDir: string;
  profile: Profile | undefined;
  zipkin: Prepared['zipkin'];
}): void {
  const { offset, dataDir, profile, zipkin } = options;
  const ports = portsAt(offset);
  const api = `http://localhost:${8080 + offset}`;
  const traces = zipkin && 'missing' in zipkin ? zipkin.missing : `http://localhost:${ports.zipkin}`;
  const { email, password, isMadeUp } = adminOf(dataDir);
  const page = profile?.page?.({ ports, dataDir });
  console.log(`
  API      ${api}
  Docs     ${api}/docs
  gRPC     localhost:${ports.grpc}
  Traces   ${traces}
  E-mails  http://localhost:${ports.mailWeb}${page ? `\n  ${page.title.padEnd(8)} ${page.where}` : ''}
  Admin    ${email}  ${isMadeUp ? password : '(password: see ADMIN_PASSWORD)'}

  Try the demo: npm run demo        Stop: Ctrl-C
`);
}
