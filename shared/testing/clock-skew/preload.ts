/**
 * Loaded before a function's own program (`node --import`), in tests only: shifts what this process takes for the time of
 * day by CLOCK_SKEW_MS, in one direction or the other by the process' own number. Its monotonic clock stays right, as on a
 * machine whose clock was set wrong.
 */
const skew = Number(process.env['CLOCK_SKEW_MS'] ?? 0);
const shiftMs = process.pid % 2 === 0 ? skew : -skew;
const TrueDate = Date;

globalThis.Date = new Proxy(TrueDate, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [TrueDate.now() + shiftMs] : args, newTarget) as Date,
  get: (target, name, receiver) =>
    name === 'now' ? () => TrueDate.now() + shiftMs : (Reflect.get(target, name, receiver) as unknown),
});
