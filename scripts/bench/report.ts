/** A cell is text as it is, or a number that is shown with about three digits. */
export type Cell = string | number;

export type Table = { title: string; columns: readonly string[]; rows: readonly (readonly Cell[])[] };

/** A number that was promised, and what was measured in its place. */
export type Goal = {
  what: string;
  measured: number;
  limit: number;
  unit: 'ms' | 'x' | '%' | 'per call';
  is: 'at most' | 'at least';
};

/** What one bench found. */
export type BenchReport = {
  name: string;
  /** What was run and how, in a sentence or two. */
  about: string;
  tables: readonly Table[];
  goals: readonly Goal[];
  notes: readonly string[];
};

/** NaN, a measurement that did not come about, misses every goal. */
export function isMet({ measured, limit, is }: Goal): boolean {
  return is === 'at most' ? measured <= limit : measured >= limit;
}

/** The report as a person reads it. */
export function render(report: BenchReport): string {
  const parts = [
    `\n${report.name}: ${report.about}`,
    ...report.tables.map((table) => `\n  ${table.title}\n${renderTable(table)}`),
    report.goals.length === 0 ? undefined : `\n  goals\n${renderGoals(report.goals)}`,
    report.notes.length === 0 ? undefined : `\n${report.notes.map((note) => `  ${note}`).join('\n')}`,
  ];
  return `${parts.filter((part) => part !== undefined).join('\n')}\n`;
}

/** The first column to the left, all others to the right. */
export function renderTable({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const lines = [columns, ...rows.map((row) => row.map(shown))];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) => {
      const cells = widths.map((width, column) => {
        const text = line[column] ?? '';
        return column === 0 ? text.padEnd(width) : text.padStart(width);
      });
      return `    ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}

/** `1,234`, `12.3`, `0.123`: three digits are what these machines can tell apart. */
export function shown(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Number.isNaN(cell)) return '-';
  const size = Math.abs(cell);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return cell.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function renderGoals(goals: readonly Goal[]): string {
  const rows = goals.map((goal) => [
    goal.what,
    `${shown(goal.measured)} ${goal.unit}`,
    `${goal.is} ${shown(goal.limit)} ${goal.unit}`,
    isMet(goal) ? 'met' : 'MISSED',
  ]);
  return renderTable({ columns: ['', 'measured', 'goal', ''], rows });
}
