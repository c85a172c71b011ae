import type { AttachedFile } from './contents.ts';

const copyBegins = Buffer.from('\nCOPY public.ir_attachment (');
const [tab, newline] = [9, 10];
/** Longer than any name that Odoo gives, and than any number. */
const keptOfField = 100;

/** What passes through it is a plain dump; it tells which files of the filestore its attachments name. */
export type AttachmentScan = {
  push(piece: Buffer): void;
  /** Each once, with one of the attachments that name it. What is no name at all is among them, cut. */
  files(): AttachedFile[];
};

/**
 * Reads the rows of `ir_attachment` where pg_dump writes them: `COPY public.ir_attachment (columns) FROM stdin;`, then a
 * line for each row with tabs between its columns, then `\.`. Its memory does not depend on how long a row is.
 *
 * A text in the dump that only looks so (in a function's body, say) adds names, and hides none: the caller compares all of
 * them with the files of the backup's manifest.
 */
export function scanAttachments(): AttachmentScan {
  const found = new Map<string, number>();
  let rest = Buffer.from('\n');
  let row: RowReader | undefined;

  function push(piece: Buffer): void {
    let bytes = piece;
    while (bytes.length > 0) bytes = row === undefined ? outside(bytes) : inside(row, bytes);
  }

  /** Looks for the beginning of the rows. What may be a part of it is kept until more comes. */
  function outside(piece: Buffer): Buffer {
    const bytes = Buffer.concat([rest, piece]);
    const at = bytes.indexOf(copyBegins);
    const end = at === -1 ? -1 : bytes.indexOf(newline, at + 1);
    if (end === -1) {
      rest = Buffer.from(bytes.subarray(at === -1 ? Math.max(0, bytes.length - copyBegins.length) : at));
      return Buffer.alloc(0);
    }
    rest = Buffer.from('\n');
    row = rowReader(bytes.toString('utf8', at + copyBegins.length, end));
    return row === undefined ? bytes.subarray(end) : bytes.subarray(end + 1);
  }

  function inside(reader: RowReader, bytes: Buffer): Buffer {
    const left = reader.read(bytes, ({ id, file }) => {
      if (file !== '\\N' && !found.has(file)) found.set(file, Number(id));
    });
    if (left === undefined) return Buffer.alloc(0);
    row = undefined;
    return left;
  }

  return { push, files: () => [...found].map(([file, attachment]) => ({ file, attachment })) };
}

type AttachmentRow = { id: string; file: string };
/** What comes behind the rows; undefined while they go on. */
type RowReader = { read(bytes: Buffer, onRow: (row: AttachmentRow) => void): Buffer | undefined };

/** undefined: this table has no files. */
function rowReader(header: string): RowReader | undefined {
  const list = /^([^)]*)\) FROM stdin;$/.exec(header)?.[1];
  const columns = list?.split(', ') ?? [];
  const wanted = { id: columns.indexOf('id'), file: columns.indexOf('store_fname') };
  if (wanted.id === -1 || wanted.file === -1) return undefined;
  let column = 0;
  const kept = new Map<number, string>();

  function keep(bytes: Buffer): void {
    // the first one also tells the end of the rows
    if (column !== 0 && column !== wanted.id && column !== wanted.file) return;
    const before = kept.get(column) ?? '';
    if (before.length < keptOfField) {
      kept.set(column, before + bytes.toString('latin1', 0, Math.min(bytes.length, keptOfField - before.length)));
    }
  }

  return {
    read(bytes, onRow) {
      let at = 0;
      let nextTab = bytes.indexOf(tab);
      let nextLine = bytes.indexOf(newline);
      while (at < bytes.length) {
        const isTab = nextTab !== -1 && (nextLine === -1 || nextTab < nextLine);
        const end = isTab ? nextTab : nextLine;
        keep(bytes.subarray(at, end === -1 ? bytes.length : end));
        if (end === -1) return undefined;
        at = end + 1;
        if (isTab) {
          column += 1;
          nextTab = bytes.indexOf(tab, at);
          continue;
        }
        if (column === 0 && kept.get(0) === '\\.') return bytes.subarray(end);
        onRow({ id: kept.get(wanted.id) ?? '', file: kept.get(wanted.file) ?? '\\N' });
        kept.clear();
        column = 0;
        nextLine = bytes.indexOf(newline, at);
      }
      return undefined;
    },
  };
}
