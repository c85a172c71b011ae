import { describe, expect, it } from 'vitest';
import { scanAttachments } from './plain-dump.ts';

const a = `ab/${'ab'.padEnd(40, '1')}`;
const b = `cd/${'cd'.padEnd(40, '2')}`;
const dump = [
  '--\n-- PostgreSQL database dump\n--\n',
  'CREATE FUNCTION f() AS $$ COPY public.ir_attachment (id, store_fname) FROM stdin; $$;',
  'COPY public.ir_asset (id, name) FROM stdin;\n1\tweb\n\\.\n',
  'COPY public.ir_attachment (id, name, res_id, store_fname, db_datas) FROM stdin;',
  `1\tfirst\t\\N\t${a}\t\\N`,
  `2\tthe same\t3\t${a}\t\\N`,
  `3\tin the database\t\\N\t\\N\t\\\\x${'00'.repeat(300)}`,
  `4\t\\tab and \\n line\t\\N\t${b}\t\\N`,
  `5\tstrange\t\\N\t../../etc/passwd${'x'.repeat(500)}\t\\N`,
  '\\.',
  '',
  'COPY public.ir_attachment_rel (id, store_fname) FROM stdin;\n9\tnothing\n\\.\n',
].join('\n');

describe('the names of files in a plain dump', () => {
  const expected = [
    { file: a, attachment: 1 },
    { file: b, attachment: 4 },
    { file: `../../etc/passwd${'x'.repeat(84)}`, attachment: 5 },
  ];

  it.each([1, 2, 7, 64, 100_000])('are found in pieces of %i bytes', (size) => {
    const scan = scanAttachments();
    const bytes = Buffer.from(dump);
    for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size));
    expect(scan.files()).toEqual(expected);
  });

  it('are none where the table is another', () => {
    const scan = scanAttachments();
    scan.push(Buffer.from('COPY public.ir_attachment (id, name) FROM stdin;\n1\tab\n\\.\n'));
    expect(scan.files()).toEqual([]);
  });

  it('are found where the table is the first thing there is', () => {
    const scan = scanAttachments();
    scan.push(Buffer.from(`COPY public.ir_attachment (store_fname, id) FROM stdin;\n${a}\t7\n\\.\n`));
    expect(scan.files()).toEqual([{ file: a, attachment: 7 }]);
  });
});
