/** Milliseconds of an ISO 8601 duration of hours, minutes and seconds (`PT60S`, `PT0.2S`, `PT1M30S`); undefined for anything else. */
export function isoDurationMs(text: string): number | undefined {
  const match = /^PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$/.exec(text);
  if (match === null) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Math.round(Number(seconds) * 1000);
}

/** Milliseconds between two ticks of a PingSource's schedule; undefined for schedules that are no plain period. */
export function everyMsOf(schedule: string): number | undefined {
  const seconds = /^\*\/(\d+)( \*){5}$/.exec(schedule)?.[1] ?? /^@every (\d+)s$/.exec(schedule)?.[1];
  const minutes = /^\*\/(\d+)( \*){4}$/.exec(schedule)?.[1];
  const everyMs = seconds === undefined ? Number(minutes ?? Number.NaN) * 60_000 : Number(seconds) * 1000;
  return everyMs > 0 ? everyMs : undefined;
}
