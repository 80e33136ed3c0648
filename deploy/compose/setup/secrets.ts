import { randomBytes } from 'node:crypto';

/** The files of one app in the form of `node --env-file`. */
export interface AppSecrets {
  /** For the service. */
  service: string;
  /** For its sidecar. */
  sidecar: string;
}

const ADMIN_EMAIL = 'admin@sidecart.example';

/** In letters that need no quoting in files, connection strings and SQL. */
const madeUp = () => randomBytes(24).toString('base64url');

/** New secrets of one app: the tokens that service and sidecar share, and what is for one of them alone. */
export function newSecrets(app: string, hasState: boolean): AppSecrets {
  const tokens = [`DAPR_API_TOKEN=${madeUp()}`, `APP_API_TOKEN=${madeUp()}`];
  const admin = [`ADMIN_EMAIL=${ADMIN_EMAIL}`, `ADMIN_PASSWORD=${madeUp()}`];
  const connection = `host=postgres user=${app} database=${app} password=${madeUp()} sslmode=disable connect_timeout=2`;
  return {
    service: lines(tokens, app === 'users' ? admin : []),
    sidecar: lines(tokens, hasState ? [`STATE_CONNECTION_STRING="${connection}"`] : []),
  };
}

const lines = (...parts: string[][]) =>
  parts
    .flat()
    .map((line) => `${line}\n`)
    .join('');

/** What PostgreSQL is told at its first start, of what the sidecar has. Nobody but its owner may connect to a database. */
export function databaseFor(app: string, sidecar: string): string {
  const [, password] = / password=([\w-]+) /.exec(sidecar) ?? [];
  if (password === undefined) throw new Error(`${app} has no password for PostgreSQL`);
  return [
    `CREATE ROLE "${app}" LOGIN PASSWORD '${password}';`,
    `CREATE DATABASE "${app}" OWNER "${app}";`,
    `REVOKE CONNECT ON DATABASE "${app}" FROM PUBLIC;\n`,
  ].join('\n');
}
