import { assertPortFree } from '../machine/tcp-ports.ts';
import { portsAt, type Ports } from './ports.ts';
import { readTemplate, type App } from './template.ts';

/** Ports without HTTP. `fetch` or a browser calls all others. */
const NON_HTTP_PORTS: readonly (keyof Ports)[] = [
  'redis',
  'nats',
  'postgres',
  'consulServer',
  'consulGossip',
  'scheduler',
  'schedulerEtcdClient',
  'schedulerEtcdPeer',
  'placement',
  'placementRaft',
  'smtp',
  'grpc',
];

export interface SystemPort {
  /** The owner of the port. */
  name: string;
  port: number;
  /** Whether `fetch` or a browser calls it. */
  isHttp: boolean;
}

/** Every port of a system whose ports are shifted by `offset`. */
export function systemPorts(offset: number, apps: readonly App[] = readTemplate().apps): SystemPort[] {
  const notHttp: readonly string[] = NON_HTTP_PORTS;
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

/** @throws Error as `assertPortFree`, for the first port of a service or sidecar that stays in use */
export async function assertServicePortsFree(offset: number): Promise<void> {
  const infrastructure: readonly string[] = Object.keys(portsAt(offset));
  const isOfService = (name: string) => ['grpc', 'operator'].includes(name) || !infrastructure.includes(name);
  const servicePorts = systemPorts(offset).filter(({ name }) => isOfService(name));
  await Promise.all(servicePorts.map(({ port, name }) => assertPortFree(port, name)));
}
