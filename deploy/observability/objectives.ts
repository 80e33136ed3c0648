/** What the shop promises, as the share of good events in 30 days. */
export interface Objective {
  name: string;
  title: string;
  /** The promised share. */
  target: number;
  /** The rate of good events, and of all, over five minutes. Each window of the alerts replaces the five minutes. */
  good: string;
  total: string;
}

const FAILED = '5..|UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS';
/** Requests that failed because of the shop. All other statuses are answers. */
export const IS_FAILED = `status=~"${FAILED}"`;
const IS_ANSWERED = `status!~"${FAILED}"`;

/** Streams are open as long as the client wants. */
export const NO_STREAMS = 'method!="WatchOrder",route!~".*/stream"';
const ORDER_REQUESTS =
  'service="gateway",method=~"POST|CreateOrder",route=~"/api/orders|sidecart.v1.OrderService"';
const READS = `service="gateway",method=~"GET|HEAD|GetOrder",route=~"/api/.*|sidecart.v1.OrderService",${NO_STREAMS}`;

const rate = (series: string) => `sum(rate(${series}[5m]))`;

export const OBJECTIVES: readonly Objective[] = [
  {
    name: 'acceptance',
    title: '99.9 % of orders are accepted',
    target: 0.999,
    good: rate(`requests_total{${ORDER_REQUESTS},status=~"2..|OK"}`),
    // Requests that are rejected for a reason of the client do not count.
    total: rate(`requests_total{${ORDER_REQUESTS},status=~"2..|OK|${FAILED}"}`),
  },
  {
    name: 'decision',
    title: '95 % of orders are paid or refused within 2 s',
    target: 0.95,
    good: rate('order_decision_duration_seconds_bucket{le="2"}'),
    total: rate('order_decision_duration_seconds_count'),
  },
  {
    name: 'reads',
    title: '99.9 % of reads are answered within 300 ms',
    target: 0.999,
    good: rate(`request_duration_seconds_bucket{${READS},${IS_ANSWERED},le="0.3"}`),
    total: rate(`request_duration_seconds_count{${READS}}`),
  },
];

/** The windows over which the share of bad events is recorded. */
export const WINDOWS = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'] as const;

interface BurnRate {
  severity: 'page' | 'ticket';
  factor: number;
  long: (typeof WINDOWS)[number];
  short: (typeof WINDOWS)[number];
}

/**
 * The windows of the alerts, by how fast the error budget of 30 days burns (https://sre.google/workbook/alerting-on-slos/): 2 % of it
 * in an hour, 5 % in six, 10 % in a day or in three. The short window ends the alert soon after the fault.
 */
export const BURN_RATES: readonly BurnRate[] = [
  { severity: 'page', factor: 14.4, long: '1h', short: '5m' },
  { severity: 'page', factor: 6, long: '6h', short: '30m' },
  { severity: 'ticket', factor: 3, long: '1d', short: '2h' },
  { severity: 'ticket', factor: 1, long: '3d', short: '6h' },
];

/** Fewer bad events in the long window alarm nobody. After a night without orders, a single slow one would be a high share. */
export const MIN_BAD_EVENTS = 10;

/** The recorded number of bad events. */
export const badEvents = (window: string) => `objective:bad_events:increase${window}`;

/** The recorded share of bad events. */
export const errorRatio = (window: string) => `objective:error_ratio:rate${window}`;
