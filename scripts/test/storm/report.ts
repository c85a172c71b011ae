import type { BrokerStats } from '#shared/sandbox/broker/stats.ts';
import type { Violations } from './compare.ts';
import type { HappenedMishap } from './mishaps.ts';
import type { ModelResult } from './model.ts';
import type { StormPlan } from './plan.ts';
import type { Quiet } from './quiet.ts';

/** A storm and what it left. */
export type StormReport = {
  plan: StormPlan;
  preparedSeconds: number;
  /** Until the last event was with the broker and all servers were up: longer than planned on a busy machine. */
  stormSeconds: number;
  totalSeconds: number;
  quiet: Quiet;
  mishaps: readonly HappenedMishap[];
  publisher: { sent: number; resent: number; notTaken: number; missing: number };
  broker: BrokerStats;
  counted: ModelResult['counted'];
  observed: {
    statuses: Readonly<Record<string, number>>;
    operations: Readonly<Record<string, number>>;
    outcomes: Readonly<Record<string, number>>;
    dead: Readonly<Record<string, number>>;
    backups: Readonly<Record<string, number>>;
    auditEntries: number;
  };
  violations: Violations;
};

export function isSurvived({ quiet, violations }: StormReport): boolean {
  return quiet.isQuiet && Object.values(violations).every((found) => found.length === 0);
}

/** Violations of one subject that are listed; the rest is counted. */
const listed = 12;

/** The report as text, for people. */
export function formatReport(report: StormReport): string {
  const { plan, publisher, quiet, counted, observed, violations } = report;
  const lines = [
    `Storm of seed ${plan.seed}: ${plan.instances.length} instances, ${plan.events.length} events in ${plan.seconds} s`,
    '',
    `Ready for it after ${report.preparedSeconds} s, the storm took ${report.stormSeconds} s, quiet ${quiet.seconds} s after its last event was taken, ${report.totalSeconds} s in all.`,
    `Sent ${publisher.sent} (with those of the beginning), ${publisher.resent} once more; the broker refused or kept waiting ${publisher.notTaken}; ${publisher.missing} never had a row.`,
    `The broker ${brokerLine(report.broker)}.`,
    `Accepted ${counted.accepted}, coalesced ${counted.coalesced}, refused ${counted.refused}, overtaken ${counted.overtaken}; ${observed.auditEntries} entries of audit.`,
    '',
    `Mishaps: ${report.mishaps.map(mishapLine).join('; ')}.`,
    '',
    `Instances: ${list(observed.statuses)}.`,
    `Operations: ${list(observed.operations)}.`,
    `Backups: ${list(observed.backups)}.`,
    `Events by outcome: ${list(observed.outcomes)}.`,
    `Dead events: ${list(observed.dead)}.`,
    '',
    ...(quiet.isQuiet ? [] : [`NOT QUIET: ${list(quiet.moving)}.`, ...quiet.unrest, '']),
    ...Object.entries(violations).flatMap(([subject, found]) => [
      `${found.length === 0 ? 'ok  ' : 'FAIL'} ${subject}: ${found.length}`,
      ...found.slice(0, listed).map((text) => `       ${text}`),
      ...(found.length > listed ? [`       and ${found.length - listed} more`] : []),
    ]),
    '',
    isSurvived(report) ? 'Survived.' : 'NOT survived.',
  ];
  return lines.join('\n');
}

function brokerLine({ accepted, triggers }: BrokerStats): string {
  const sum = (what: 'delivered' | 'retried' | 'deadLettered' | 'dropped' | 'duplicated' | 'lost') =>
    Object.values(triggers).reduce((total, counts) => total + counts[what], 0);
  return `accepted ${accepted} events, delivered ${sum('delivered')}, tried ${sum('retried')} again, dead-lettered ${sum('deadLettered')}, dropped ${sum('dropped')}, doubled ${sum('duplicated')}, lost ${sum('lost')}`;
}

function mishapLine(mishap: HappenedMishap): string {
  const at = `${(mishap.startedMs / 1_000).toFixed(1)} s`;
  if (mishap.what === 'kill-function') return `${at} kill -9 ${mishap.functionName} (${mishap.pids?.length ?? 0})`;
  return `${at} ${mishap.what}${'server' in mishap ? ` ${mishap.server + 1}` : ''} (${(mishap.tookMs / 1_000).toFixed(1)} s)`;
}

function list(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}
