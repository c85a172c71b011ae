import { Gauge, type Registry } from 'prom-client';
import type { WarmReport } from './warm-databases.ts';

/** Longer than a tick takes to come round: of several processes, the one that looked last is believed. */
const freshMs = 60_000;

type Seen = Pick<WarmReport, 'warm' | 'target'> & { labels: { server: string; template: string }; atMs: number };

/** Shows the ready clones of each server. What no tick of this process has looked at for a minute is shown no more. */
export function makeWarmGauges(
  registry: Registry,
  options: { clock?: () => number } = {},
): (report: WarmReport) => void {
  const clock = options.clock ?? Date.now;
  const seen = new Map<string, Seen>();
  const makeGauge = (name: string, help: string, valueOf: (one: Seen) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['server', 'template'],
      registers: [registry],
      collect() {
        this.reset();
        for (const one of seen.values()) {
          if (clock() - one.atMs <= freshMs) this.set(one.labels, valueOf(one));
        }
      },
    });
  const readyHelp =
    'Ready clones on an Odoo server, by template. At 0, provisioning clones the template or needs a Job.';
  makeGauge('fleet_warm_databases', readyHelp, ({ warm }) => warm);
  makeGauge('fleet_warm_databases_wanted', 'Ready clones that are wished for there.', ({ target }) => target);
  return ({ serverId: server, digest: template, warm, target }) =>
    void seen.set(`${server} ${template}`, { labels: { server, template }, warm, target, atMs: clock() });
}
