/**
 * Text as every row, log and event can hold it: one line without control characters or halves of characters, at most
 * `maxLength` UTF-16 units. Messages of servers and programs are none of ours and may hold anything.
 */
export function oneLine(text: string, maxLength: number): string {
  const line = text
    .toWellFormed()
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim();
  if (line.length <= maxLength) return line;
  // The cut may go through a surrogate pair.
  return `${line.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
