import { demandFree } from '../machine/tcp-ports.ts';
import { portsAt, type Ports } from './ports.ts';
import { readTemplate, type App } from './template.ts';

/** What speaks no HTTP. Everything else is asked by `fetch` or a browser. */
const NOT_HTTP: readonly (keyof Ports)[] = [
  'redis',
  'nats',
  'postgres',
  'consulServer',
  'consulGossip',
  'scheduler',
  'schedulerEtcdClient',
  'schedulerEtcdPeer',
  'smtp',
  'grpc',
];

export interface SystemPort {
  /** Whose port it is. */
  name: string;
  port: number;
  /** Whether it is asked by `fetch` or a browser. */
  isHttp: boolean;
}

/** Every port of a system whose ports are shifted by `offset`. */
export function systemPorts(offset: number, apps: readonly App[] = readTemplate().apps): SystemPort[] {
  const notHttp: readonly string[] = NOT_HTTP;
  return [
    ...Object.entries(portsAt(offset)).map(([name, port]) => ({
      name,
      port,
      isHttp: !notHttp.includes(name),
    })),
    ...apps.flatMap(({ appID, ...app }) => [
      { name: appID, port: app.appPort + offset, isHttp: true },
      { name: `${appID}'s sidecar`, port: app.daprHTTPPort + offset, isHttp: true },
      { name: `${appID}'s sidecar, metrics`, port: app.metricsPort + offset, isHttp: true },
      { name: `${appID}'s sidecar, gRPC`, port: app.daprGRPCPort + offset, isHttp: false },
      { name: `${appID}'s sidecar, internal gRPC`, port: app.daprInternalGRPCPort + offset, isHttp: false },
    ]),
  ];
}

/** @throws Error as `demandFree`, for the first of the services' and sidecars' ports that stays taken */
export async function demandFreeForServices(offset: number): Promise<void> {
  const around: readonly string[] = Object.keys(portsAt(offset));
  const isTheirs = (name: string) => ['grpc', 'operator'].includes(name) || !around.includes(name);
  const theirs = systemPorts(offset).filter(({ name }) => isTheirs(name));
  await Promise.all(theirs.map(({ port, name }) => demandFree(port, name)));
}
