import { styleText } from 'node:util';

const colours = {
  green: /\b(running|succeeded|active|ok|proven|sent)\b/g,
  red: /\b(failed|error|refuted|given-up|terminated)\b/g,
  yellow: /\b(warning|waiting|queued|suspended|cancelled|maintenance)\b/g,
} as const;

/** States in colours. Without regard to where the text goes: the caller knows. */
export function painted(line: string): string {
  let text = line;
  for (const colour of ['green', 'red', 'yellow'] as const) {
    text = text.replace(colours[colour], (word) => styleText(colour, word, { validateStream: false }));
  }
  return text;
}

/** Without what a terminal would obey: names and reasons are other people's. */
export function plain(line: string): string {
  return line.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
