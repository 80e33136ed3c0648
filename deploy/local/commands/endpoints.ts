import { collectorEndpoint } from '../configuration/collector.ts';
import { portsAt } from '../configuration/ports.ts';
import type { Profile } from '../profiles/profile.ts';
import { findOrCreateAdmin } from '../system/admin.ts';
import type { PreparedPrograms } from '../system/prepare.ts';

/** Prints the addresses of the running system, and the administrator. */
export function printEndpoints(options: {
  offset: number;
  dataDir: string;
  profile: Profile | undefined;
  observability: boolean;
  zipkin: PreparedPrograms['zipkin'];
}): void {
  const { offset, dataDir, profile, observability, zipkin } = options;
  const ports = portsAt(offset);
  const api = `http://localhost:${8080 + offset}`;
  const zipkinUrl = zipkin && 'missing' in zipkin ? zipkin.missing : `http://localhost:${ports.zipkin}`;
  const collector = collectorEndpoint();
  const traces = collector ? `sent to ${collector}` : zipkinUrl;
  const { email, password, isGenerated } = findOrCreateAdmin(dataDir);
  const page = profile?.webPage?.({ ports, dataDir });
  const pages = [
    ...(observability ? [{ title: 'Metrics', address: `http://localhost:${ports.prometheus}` }] : []),
    ...(page ? [page] : []),
  ];
  console.log(`
  API      ${api}
  Docs     ${api}/docs
  gRPC     localhost:${ports.grpc}
  Traces   ${traces}
  E-mails  http://localhost:${ports.mailWeb}${pages.map(({ title, address }) => `\n  ${title.padEnd(8)} ${address}`).join('')}
  Admin    ${email}  ${isGenerated ? password : '(password: see ADMIN_PASSWORD)'}

  Try the demo: npm run demo        Stop: Ctrl-C
`);
}
