import type { BillingNews } from './plan.ts';
import { answersTo, type Bills, type ModelInstance, type Request, relationOf } from './rules.ts';

/** One entry of the audit, in the order in which the database accepted what it tells. */
export type AuditEntry = {
  sequence: number;
  atMs: number;
  action: string;
  instanceId: string | null;
  operationId: string | null;
  detail: { event?: string; code?: string; result?: string; by?: string };
};

/** What the storm knows of an event that asks for something, besides what the audit says. */
export type KnownEvent = {
  source: string;
  instance: string;
  /** Of a suspension its reason, of a backup its kind, of a verification the backup. */
  cause: string | null;
  sequence: number | undefined;
  /** Of billing's events. */
  news: BillingNews | undefined;
};

export type ModelInput = {
  audit: readonly AuditEntry[];
  events: ReadonlyMap<string, KnownEvent>;
  /** Instances whose plan has no window for an undo. */
  withoutUndo: ReadonlySet<string>;
};

export type ModelResult = {
  instances: ReadonlyMap<string, ModelInstance>;
  /** Decisions of the platform that the model does not come to, in words. */
  disagreements: readonly string[];
  counted: { accepted: number; coalesced: number; refused: number; overtaken: number };
};

/** A bill's news counts for the gate a little before and after its entry: both transactions do not lock each other out. */
const billsBlurMs = 5_000;

/**
 * Takes the requests one after the other, as the database accepted them, and says what each instance comes to: a plain
 * sequential program with rules of its own, which never asks the code under test. What it decides otherwise than the
 * platform did is a disagreement; it goes on with what the platform did. Pure.
 */
export function runModel(input: ModelInput): ModelResult {
  const bills = billsOf(input);
  const instances = new Map<string, ModelInstance>();
  const disagreements: string[] = [];
  const counted = { accepted: 0, coalesced: 0, refused: 0, overtaken: 0 };
  for (const entry of input.audit.toSorted((a, b) => a.sequence - b.sequence)) {
    const [kind = '', word = ''] = entry.action.split('.');
    if (kind === 'billing') continue;
    if (word === 'requested' || word === 'coalesced' || word === 'refused') {
      const known = input.events.get(entry.detail.event ?? '');
      if (known === undefined) {
        disagreements.push(
          `${entry.action} of ${entry.instanceId} names event ${entry.detail.event}, which nobody sent`,
        );
        continue;
      }
      counted[word === 'requested' ? 'accepted' : word] += 1;
      const request = { kind, cause: known.cause, sequence: known.sequence, source: known.source };
      const instance = instances.get(known.instance);
      const came = word === 'refused' ? `refused: ${entry.detail.code}` : word;
      const paysAt = bills(known.instance, entry.atMs);
      const possible = answersTo(request, instance, paysAt);
      if (!possible.includes(came)) {
        disagreements.push(
          `#${entry.sequence} ${kind} of ${known.instance} (${entry.detail.event}) was ${came}; the model says ${possible.join(' or ')}: ${describe(instance)}`,
        );
      }
      noteSequence(instance, request);
      if (word !== 'refused') {
        const made = instance ?? newInstance(input.withoutUndo.has(known.instance));
        instances.set(known.instance, made);
        counted.overtaken += accept(made, request, { word, operationId: entry.operationId ?? '' });
      }
      continue;
    }
    const instance = instances.get(entry.instanceId ?? '');
    if (instance !== undefined && entry.operationId !== null) end(instance, kind, { word, entry });
  }
  return { instances, disagreements, counted };
}

function newInstance(isWithoutUndo: boolean): ModelInstance {
  return {
    desired: 'running',
    before: undefined,
    suspensions: new Set(),
    isMade: false,
    isPurged: false,
    isWithoutUndo,
    generation: 1,
    unfinished: [],
    failed: [],
    backups: { mayBe: false, isThere: false },
    streams: new Map(),
  };
}

function noteSequence(instance: ModelInstance | undefined, { source, sequence }: Request): void {
  if (instance === undefined || sequence === undefined) return;
  instance.streams.set(source, Math.max(sequence, instance.streams.get(source) ?? 0));
}

/** What an accepted request changes; returns how many operations it overtakes. */
function accept(
  instance: ModelInstance,
  request: Request,
  { word, operationId }: { word: string; operationId: string },
): number {
  // What it wants is wanted already.
  if (word === 'coalesced') return 0;
  if (wish(instance, request)) instance.generation += 1;
  const overtaken = instance.unfinished.filter((one) => relationOf(request.kind, one.kind) === 'cancel');
  instance.unfinished = instance.unfinished.filter((one) => !overtaken.includes(one));
  instance.unfinished.push({ id: operationId, kind: request.kind, cause: request.cause });
  if (request.kind === 'backup') instance.backups.mayBe = true;
  return overtaken.length;
}

/** True when something is wanted that was not wanted before. */
function wish(instance: ModelInstance, { kind, cause }: Request): boolean {
  const { desired, suspensions } = instance;
  switch (kind) {
    case 'start':
      instance.desired = 'running';
      return desired !== 'running';
    case 'stop':
      instance.desired = 'stopped';
      return desired !== 'stopped';
    case 'restart':
      return true;
    case 'suspend': {
      const isNew = !suspensions.has(cause ?? '');
      suspensions.add(cause ?? '');
      return isNew;
    }
    case 'resume':
      return suspensions.delete(cause ?? '');
    case 'terminate':
      if (desired === 'terminated') return false;
      instance.before = desired;
      instance.desired = 'terminated';
      return true;
    case 'undo':
      if (desired !== 'terminated') return false;
      instance.desired = instance.before ?? 'running';
      // Bills were asked, and have nothing against it.
      suspensions.delete('billing');
      return true;
    default:
      return false;
  }
}

function end(instance: ModelInstance, kind: string, { word, entry }: { word: string; entry: AuditEntry }): void {
  if (!['succeeded', 'failed', 'overtaken', 'cancelled'].includes(word)) return;
  // It never had its turn: its end is part of the request that overtakes it, and written before that.
  if (entry.detail.by !== undefined) return;
  instance.unfinished = instance.unfinished.filter(({ id }) => id !== entry.operationId);
  if (word === 'failed') instance.failed.push(`${kind}: ${entry.detail.code}`);
  if (word !== 'succeeded') return;
  if (kind === 'provision') instance.isMade = true;
  if (kind === 'backup') instance.backups.isThere = true;
  if (kind === 'purge' && entry.detail.result === 'done') instance.isPurged = true;
}

function describe(instance: ModelInstance | undefined): string {
  if (instance === undefined) return 'not there';
  const { desired, suspensions, isMade, unfinished } = instance;
  const open = [...suspensions].join('+') || 'none';
  const busy = unfinished.map(({ kind }) => kind).join(',') || 'nothing';
  return `${desired}, suspended for ${open}, ${isMade ? 'made' : 'not made'}, unfinished ${busy}`;
}

/** What the bills may have said at a moment: of each instance the news of its subscription, in the order they were applied. */
function billsOf({ audit, events }: ModelInput): (instance: string, atMs: number) => Bills {
  const histories = new Map<string, { atMs: number; news: BillingNews }[]>();
  for (const { action, detail, atMs } of audit) {
    const known = events.get(detail.event ?? '');
    if (action !== 'billing.applied' || known?.news === undefined) continue;
    histories.set(known.instance, [...(histories.get(known.instance) ?? []), { atMs, news: known.news }]);
  }
  return (instance, atMs) => {
    const history = histories.get(instance) ?? [];
    const before = history.findLast((one) => one.atMs <= atMs - billsBlurMs);
    const near = history.filter((one) => Math.abs(one.atMs - atMs) < billsBlurMs);
    const possible = [before, ...near].map((one) => one === undefined || one.news === 'paid');
    return { mayPass: possible.includes(true), mayRefuse: possible.includes(false) };
  };
}

/** What the bills want in the end, by the last news that was applied. */
export function lastNews({ audit, events }: ModelInput): ReadonlyMap<string, BillingNews> {
  const last = new Map<string, BillingNews>();
  for (const { action, detail } of audit.toSorted((a, b) => a.sequence - b.sequence)) {
    const known = events.get(detail.event ?? '');
    if (action === 'billing.applied' && known?.news !== undefined) last.set(known.instance, known.news);
  }
  return last;
}
