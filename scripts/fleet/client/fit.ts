import { table } from '../screen.ts';

/**
 * A table that is readable on a terminal of that width. If it is too wide, columns that say nothing are left out; what is
 * still too wide goes on in further lines, indented. Nothing is cut: ids are copied from here.
 */
export function fitted(rows: readonly (readonly string[])[], width: number | undefined): string[] {
  const whole = table(rows);
  if (width === undefined || widest(whole) <= width) return whole;
  const said = rows.map((row) => row.filter((_, column) => column === 0 || !isSilent(rows, column)));
  const smaller = table(said);
  return widest(smaller) <= width ? smaller : folded(said, width);
}

const indent = '  ';

function folded(rows: readonly (readonly string[])[], width: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const parts: number[][] = [];
  let left = 0;
  for (const [column, wide] of widths.entries()) {
    if (column === 0 || wide > left) {
      parts.push([column]);
      left = width - (column === 0 ? 0 : indent.length) - wide;
    } else {
      parts.at(-1)?.push(column);
      left -= wide;
    }
    left -= indent.length;
  }
  const tables = parts.map((columns) => table(rows.map((row) => columns.map((column) => row[column] ?? ''))));
  return rows.flatMap((_, row) => tables.map((lines, part) => `${part === 0 ? '' : indent}${lines[row] ?? ''}`));
}

/** Names and what they are; a value that does not fit beside its name is on the next line. */
export function fittedFacts(rows: readonly (readonly [string, string])[], width: number | undefined): string[] {
  const beside = table(rows);
  if (width === undefined) return beside;
  return rows.flatMap(([name, value], row) => {
    const line = beside[row] ?? '';
    return line.length <= width ? [line] : [name, `${indent}${value}`];
  });
}

const isSilent = (rows: readonly (readonly string[])[], column: number) =>
  rows.slice(1).every((row) => (row[column] ?? '-') === '-');

const widest = (lines: readonly string[]) => Math.max(0, ...lines.map((line) => line.length));
