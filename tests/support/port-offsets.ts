/** The port offset of each system in tests/system. Two files run at a time, so no two systems may share a port. */
export const PORT_OFFSETS = {
  profiles: 2_600,
  contracts: 6_000,
  dev: 10_900,
  newService: 9_300,
  traces: 21_600,
  collector: 12_400,
  consul: 12_000,
  flows: 15_000,
  edge: 16_000,
  secrets: 17_000,
  npmStart: 18_000,
  liveSettings: 18_400,
  doctor: 19_600,
  daprRun: 20_000,
  observability: 8_500,
  restart: 21_000,
} as const;
