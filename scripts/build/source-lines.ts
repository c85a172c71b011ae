import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';

/**
 * Makes stack traces name the lines of the sources instead of those of the bundle `file`, by `<file>.map`.
 *
 * The map is read when the first stack is looked at: read at the start, as `--enable-source-maps` does, it would take
 * 40 MiB and more time than the rest of the start.
 */
export function showSourceLines(file: string): void {
  // it is large and rarely needed: the collector may take it
  let kept: WeakRef<SourceMap> | undefined;
  const readMap = (): SourceMap => {
    const map = kept?.deref() ?? new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')) as SourceMapPayload);
    kept = new WeakRef(map);
    return map;
  };
  Error.prepareStackTrace = (error, frames) => {
    const lines = frames.map((frame) => `\n    at ${sourcePlace(frame, { file, readMap })}`);
    return `${headOf(error)}${lines.join('')}`;
  };
}

function sourcePlace(frame: NodeJS.CallSite, { file, readMap }: { file: string; readMap: () => SourceMap }): string {
  // V8's own wording; the type says nothing of it
  const text = String(frame as object & { toString(): string });
  const [line, column] = [frame.getLineNumber(), frame.getColumnNumber()];
  if (frame.getFileName() !== file || line === null || column === null) return text;
  try {
    const entry = readMap().findEntry(line - 1, column - 1);
    if (!('originalSource' in entry)) return text;
    const { originalSource, originalLine, originalColumn } = entry;
    return text.replace(`${file}:${line}:${column}`, `${originalSource}:${originalLine + 1}:${originalColumn + 1}`);
  } catch {
    // a bundle whose map was left out still has its own lines to show
    return text;
  }
}

function headOf(error: Error): string {
  try {
    return String(error);
  } catch {
    // as Node does for an error whose own name or message throws
    return '<error>';
  }
}
