import { orExit } from '../../../services/shared/runtime/shutdown.ts';
import { portsAt } from '../configuration/ports.ts';
import { readSettings } from '../configuration/settings.ts';
import { readTemplate } from '../configuration/template.ts';
import { checkedApp } from '../doctor/checked-system.ts';
import { diagnose } from '../doctor/diagnose.ts';
import type { Finding } from '../doctor/finding.ts';
import { findProfile } from '../profiles/index.ts';
import { findAdmin } from '../system/admin.ts';
import { parseArguments } from './arguments.ts';
import { dataFolder } from './data-folders.ts';

/**
 * `npm run doctor`: checks the running system, and explains what is wrong and what to do. It exits with 0 if everything is fine,
 * with 1 if something is wrong, and with 2 if the system does not run.
 */

const { json, profile, offset, accessToken } = await orExit(process, () => {
  const options = parseArguments({ profile: { type: 'string' }, json: { type: 'boolean', default: false } });
  const { PORT_OFFSET = 0, SIDECART_ACCESS_TOKEN } = readSettings();
  return {
    json: options.json,
    profile: findProfile(options.profile),
    offset: PORT_OFFSET,
    accessToken: SIDECART_ACCESS_TOKEN,
  };
});

const dataDir = dataFolder(offset, profile?.name);
const admin = findAdmin(dataDir);
const diagnosis = await diagnose({
  apps: readTemplate().apps.map((app) => checkedApp(app, offset)),
  ports: portsAt(offset),
  profile,
  dataDir,
  api: `http://127.0.0.1:${8080 + offset}`,
  admin:
    accessToken === undefined ? admin && { email: admin.email, password: admin.password } : { accessToken },
});

if (json) console.log(JSON.stringify(diagnosis, null, 2));
else if (diagnosis.status === 'not running')
  console.log(`No system runs on these ports (PORT_OFFSET=${offset}). Start one: npm start`);
else for (const finding of diagnosis.findings) printFinding(finding);
process.exit({ ok: 0, problem: 1, 'not running': 2 }[diagnosis.status]);

function printFinding({ check, status, message, advice }: Finding): void {
  console.log(`${(status === 'problem' ? 'PROBLEM' : status).padEnd(8)} ${check.padEnd(14)} ${message}`);
  if (advice) console.log(`${' '.repeat(24)}${advice}`);
}
