import {
  LegendDisplayMode,
  LegendPlacement,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  QueryVariableBuilder,
  RowBuilder,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import {
  BytesIEC,
  CountsPerSecond,
  Milliseconds,
  PercentUnit,
  RequestsPerSecond,
  Seconds,
  Short,
} from '@grafana/grafana-foundation-sdk/units';

/** The units of panels, by the names that dashboards.ts uses. */
export const UNITS = {
  seconds: Seconds,
  milliseconds: Milliseconds,
  bytes: BytesIEC,
  ratio: PercentUnit,
  requestsPerSecond: RequestsPerSecond,
  perSecond: CountsPerSecond,
  count: Short,
} as const;

/** A panel with one line per series. */
export interface Panel {
  title: string;
  unit: keyof typeof UNITS;
  /** Queries, by their legends, in which `{{label}}` is the value of a label. */
  queries: Record<string, string>;
  /** What the panel shows, if the title does not say it. */
  description?: string;
  /** Whether dots on the graph lead to traces. */
  exemplars?: true;
}

export interface DashboardDescription {
  uid: string;
  title: string;
  description: string;
  rows: Record<string, readonly Panel[]>;
  /** Whether the dashboard is about one service at a time, which the variable `$service` names. */
  hasServiceVariable?: true;
}

const DATASOURCE = { type: 'prometheus', uid: 'prometheus' };
const COLUMNS = 3;
const GRID_WIDTH = 24;
const PANEL_HEIGHT = 7;

/** Builds the model that Grafana reads (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/). */
export function buildDashboard(described: DashboardDescription): Dashboard {
  const { uid, title, description, rows, hasServiceVariable } = described;
  const dashboard = new DashboardBuilder(`Sidecart / ${title}`)
    .uid(uid)
    .description(description)
    .tags(['sidecart'])
    .readonly()
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .link(
      new DashboardLinkBuilder('Sidecart')
        .type(DashboardLinkType.Dashboards)
        .tags(['sidecart'])
        .keepTime(true),
    );
  if (hasServiceVariable)
    dashboard.withVariable(
      new QueryVariableBuilder('service')
        .label('Service')
        .datasource(DATASOURCE)
        .query({ query: 'label_values(up, service)', refId: 'service' }),
    );
  let id = 0;
  for (const [row, panels] of Object.entries(rows)) {
    dashboard.withRow(new RowBuilder(row).id(++id));
    for (const panel of panels) dashboard.withPanel(buildPanel(panel).id(++id));
  }
  return dashboard.build();
}

function buildPanel({ title, unit, queries, description, exemplars }: Panel): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .datasource(DATASOURCE)
    .unit(UNITS[unit])
    .min(0)
    .span(GRID_WIDTH / COLUMNS)
    .height(PANEL_HEIGHT)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    );
  if (description !== undefined) panel.description(description);
  for (const [position, [legend, expr]] of Object.entries(queries).entries())
    panel.withTarget(
      new DataqueryBuilder()
        .refId(String.fromCharCode(65 + position))
        .expr(expr)
        .legendFormat(legend)
        .range()
        .exemplar(exemplars ?? false),
    );
  return panel;
}
