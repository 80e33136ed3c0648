/** The ports of the infrastructure and the gateway. Every port of a system is shifted by the same offset. */
export interface Ports {
  redis: number;
  nats: number;
  postgres: number;
  consul: number;
  consulServer: number;
  consulGossip: number;
  scheduler: number;
  schedulerHealth: number;
  schedulerMetrics: number;
  schedulerEtcdClient: number;
  schedulerEtcdPeer: number;
  placement: number;
  placementHealth: number;
  placementMetrics: number;
  placementRaft: number;
  zipkin: number;
  prometheus: number;
  smtp: number;
  mailWeb: number;
  /** The gateway's gRPC API. */
  grpc: number;
  /** The gateway's /readyz and /metrics. */
  operator: number;
}

export function portsAt(offset: number): Ports {
  // Shifted, these would exceed the range of ports, so a shifted system uses others.
  const scheduler = offset === 0 ? 50_006 : 4_000 + offset;
  const placement = offset === 0 ? 50_005 : 4_006 + offset;
  const grpc = offset === 0 ? 50_051 : 4_005 + offset;
  return {
    redis: 6379 + offset,
    nats: 4222 + offset,
    postgres: 5432 + offset,
    consul: 8500 + offset,
    consulServer: 8300 + offset,
    consulGossip: 8301 + offset,
    scheduler,
    schedulerHealth: 4_001 + offset,
    schedulerMetrics: 4_002 + offset,
    schedulerEtcdClient: 4_003 + offset,
    schedulerEtcdPeer: 4_004 + offset,
    placement,
    placementHealth: 4_007 + offset,
    placementMetrics: 4_008 + offset,
    placementRaft: 4_009 + offset,
    zipkin: 9411 + offset,
    // Debian's package starts a Prometheus of its own on 9090.
    prometheus: 9099 + offset,
    smtp: 1025 + offset,
    mailWeb: 8025 + offset,
    grpc,
    operator: 8079 + offset,
  };
}
