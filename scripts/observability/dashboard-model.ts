/** A Grafana dashboard as we describe one: rows of panels, each a question and the expressions that answer it. */
export type Dashboard = {
  uid: string;
  title: string;
  /** With a choice of functions on top; expressions use `function=~"$function"`. */
  hasFunctionChoice?: boolean;
  rows: readonly { title: string; panels: readonly Panel[] }[];
};

export type Panel = {
  title: string;
  /** What a person should know to read it. */
  about?: string;
  /** `number`: the last value, large. */
  kind?: 'graph' | 'number';
  /** Grafana's name of the unit. Default: a plain number. */
  unit?: 's' | 'reqps' | 'percentunit' | 'bytes' | 'short';
  /** Values from which on it turns red. */
  redFrom?: number;
  queries: readonly { expr: string; legend?: string }[];
};

// Grafana's grid is 24 wide.
const panelsPerRow = 3;
const panelWidth = 24 / panelsPerRow;
const panelHeight = 8;

/** The dashboard in Grafana's own format. Ids follow from the order, so that the same description gives the same file. */
export function grafanaModel({ uid, title, rows, hasFunctionChoice = false }: Dashboard): object {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push(rowModel(row.title, { id: panels.length + 1, y }));
    y += 1;
    for (const [index, panel] of row.panels.entries()) {
      const column = index % panelsPerRow;
      if (index > 0 && column === 0) y += panelHeight;
      const gridPos = { x: column * panelWidth, y, w: panelWidth, h: panelHeight };
      panels.push(panelModel(panel, { id: panels.length + 1, gridPos }));
    }
    y += panelHeight;
  }
  return {
    uid,
    title,
    tags: ['odoo-fleet'],
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: [dataSource, ...(hasFunctionChoice ? [functionChoice] : [])] },
    panels,
  };
}

const dataSource = { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' };
const source = { type: 'prometheus', uid: '${datasource}' };
const functionChoice = {
  name: 'function',
  type: 'query',
  datasource: source,
  query: { query: 'label_values(fleet_requests_in_flight, function)', refId: 'function' },
  refresh: 2,
  multi: true,
  includeAll: true,
  current: { text: 'All', value: '$__all' },
};

function rowModel(title: string, { id, y }: { id: number; y: number }): object {
  return { id, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] };
}

function panelModel(panel: Panel, place: { id: number; gridPos: object }): object {
  const steps = [
    { color: 'green', value: null },
    ...(panel.redFrom === undefined ? [] : [{ color: 'red', value: panel.redFrom }]),
  ];
  return {
    ...place,
    type: panel.kind === 'number' ? 'stat' : 'timeseries',
    title: panel.title,
    ...(panel.about === undefined ? {} : { description: panel.about }),
    datasource: source,
    fieldConfig: {
      defaults: { unit: panel.unit ?? 'short', min: 0, thresholds: { mode: 'absolute', steps } },
      overrides: [],
    },
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: source,
      expr,
      legendFormat: legend ?? '__auto',
    })),
  };
}
