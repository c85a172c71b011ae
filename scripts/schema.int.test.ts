import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { freshSchema, schemaFile } from './schema.ts';
import { normaliseDump } from './schema-dump.ts';

test('the committed schema is what the migrations make', async () => {
  expect(await readFile(schemaFile, 'utf8')).toBe(await freshSchema());
}, 60_000);

test('what changes from one version of pg_dump to the next is left out', () => {
  const dump = (head: string) => `--
-- PostgreSQL database dump
--
${head}
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.a (
    id text NOT NULL
);


--
-- Name: a; Type: TABLE
--


CREATE INDEX a_id ON public.a USING btree (id);
`;
  const old = normaliseDump(dump('\n-- Dumped from database version 15.18'));
  const recent = normaliseDump(
    dump('\\restrict aBc\n\n-- Dumped by pg_dump version 18.4\n\nSET transaction_timeout = 0;'),
  );
  expect(recent).toBe(old);
  expect(old).toBe(
    'CREATE TABLE public.a (\n    id text NOT NULL\n);\n\nCREATE INDEX a_id ON public.a USING btree (id);\n',
  );
});
