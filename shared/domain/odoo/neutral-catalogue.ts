/** One column of a table, as the database's own catalogue has it. */
export type Column = { type: string; isRequired: boolean; isGenerated: boolean };

/** One table somebody can write to. Odoo's are in schema `public`. */
export type Table = { schema: string; name: string; columns: ReadonlyMap<string, Column> };

/** The tables of one database: what can be neutralized in it depends on the modules that are installed. */
export type Catalogue = { tables: readonly Table[]; odoo: ReadonlyMap<string, Table> };

/** A row of `catalogueQuery`. */
export type CatalogueRow = {
  schema: string;
  table: string;
  column: string;
  type: string;
  isRequired: boolean;
  isGenerated: boolean;
};

/** Every column of every ordinary or partitioned table that is not PostgreSQL's own. Partitions are written through their parent. */
export const catalogueQuery = `SELECT n.nspname::text AS schema, c.relname::text AS "table", a.attname::text AS "column",
    pg_catalog.format_type(a.atttypid, NULL) AS type, a.attnotnull AS "isRequired", a.attgenerated <> '' AS "isGenerated"
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  ORDER BY 1, 2, a.attnum`;

export function catalogueOf(rows: readonly CatalogueRow[]): Catalogue {
  const tables = new Map<string, Table & { columns: Map<string, Column> }>();
  for (const { schema, table, column, ...rest } of rows) {
    const key = JSON.stringify([schema, table]);
    const found = tables.get(key) ?? { schema, name: table, columns: new Map<string, Column>() };
    found.columns.set(column, rest);
    tables.set(key, found);
  }
  const all = [...tables.values()];
  return { tables: all, odoo: new Map(all.filter(({ schema }) => schema === 'public').map((one) => [one.name, one])) };
}

/** The same rule as PostgreSQL's quote_ident, always with quotes: names in a restored database are a tenant's own. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualified({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** Text as a literal; backslashes mean nothing in it, whatever the server is set to. */
export function literal(text: string): string {
  const body = text.replaceAll("'", "''");
  return body.includes('\\') ? `E'${body.replaceAll('\\', '\\\\')}'` : `'${body}'`;
}
