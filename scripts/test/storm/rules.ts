// The rules of admission and of the queue, written down a second time and more plainly than where they are enforced: the
// storm holds the one against the other.

/** An instance as the model sees it. */
export type ModelInstance = {
  desired: 'running' | 'stopped' | 'terminated';
  /** What was wanted when it was terminated. */
  before: 'running' | 'stopped' | undefined;
  suspensions: Set<string>;
  isMade: boolean;
  isPurged: boolean;
  isWithoutUndo: boolean;
  generation: number;
  unfinished: { id: string; kind: string; cause: string | null }[];
  /** Operations that ended in failure. */
  failed: string[];
  /** Whether one was ever asked for, and whether one has succeeded. */
  backups: { mayBe: boolean; isThere: boolean };
  /** The highest sequence of suspends and resumes, by source. */
  streams: Map<string, number>;
};

export type Request = { kind: string; cause: string | null; sequence: number | undefined; source: string };

/** What the bills say about running; both when they changed about the same time. */
export type Bills = { mayPass: boolean; mayRefuse: boolean };

const table: Readonly<Record<string, string>> = {
  start: 'start=coalesce repair=cancel verify=cancel terminate=refuse purge=refuse',
  stop: 'stop=coalesce start=cancel restart=cancel repair=cancel verify=cancel terminate=refuse purge=refuse',
  restart: 'restart=coalesce repair=cancel verify=cancel terminate=refuse purge=refuse',
  suspend:
    'suspend=coalesce start=cancel restart=cancel resume=cancel repair=cancel backup=cancel verify=cancel restore=cancel terminate=refuse purge=refuse',
  resume: 'resume=coalesce repair=cancel verify=cancel terminate=refuse purge=refuse',
  terminate:
    'terminate=coalesce provision=cancel start=cancel stop=cancel restart=cancel suspend=cancel resume=cancel undo=cancel repair=cancel backup=cancel verify=cancel restore=cancel purge=refuse',
  undo: 'undo=coalesce repair=cancel backup=cancel verify=cancel purge=refuse',
  purge: 'purge=coalesce repair=cancel undo=refuse',
  repair:
    'repair=coalesce verify=cancel backup=refuse restore=refuse provision=refuse start=refuse stop=refuse restart=refuse suspend=refuse resume=refuse terminate=refuse undo=refuse purge=refuse',
  backup: 'backup=coalesce provision=refuse purge=refuse',
  verify: 'verify=coalesce provision=refuse purge=refuse',
  restore: 'restore=refuse repair=cancel verify=cancel provision=refuse terminate=refuse purge=refuse',
};

/** What a request does about an unfinished operation: cancel, refuse, coalesce or wait. */
export function relationOf(kind: string, other: string): string {
  const found = table[kind]?.split(' ').find((cell) => cell.startsWith(`${other}=`));
  return found?.split('=')[1] ?? 'wait';
}

const longestQueue = 20;
/** Of these one that has begun is not joined. */
const anew = ['restart', 'backup'];
/** These come through however long the queue is. */
const limitless = ['suspend', 'resume', 'terminate'];

/** What may become of a request: `requested`, `coalesced`, or `refused: <code>`. Several where two facts race. */
export function answersTo(request: Request, instance: ModelInstance | undefined, bills: Bills): readonly string[] {
  const { kind, cause } = request;
  // Whether a name is taken depends on a step of another operation.
  if (kind === 'provision') return instance === undefined ? ['requested', 'refused: host-taken'] : ['requested'];
  if (instance === undefined) return ['refused: not-found'];
  const held = instance.streams.get(request.source) ?? 0;
  if (request.sequence !== undefined && request.sequence <= held) return ['refused: superseded'];
  const relations = instance.unfinished.map((one) => relationOf(kind, one.kind));
  const last = instance.unfinished.at(-1);
  // A termination stands in nobody's way when an undo waits behind it.
  const undo = instance.unfinished.findLastIndex((one) => one.kind === 'undo');
  const isOver = (index: number) => instance.unfinished[index]?.kind === 'terminate' && index < undo;
  const isRefused = relations.some((relation, index) => relation === 'refuse' && !isOver(index));
  const isSame = last !== undefined && relations.at(-1) === 'coalesce' && last.cause === cause;
  if (!isRefused && isSame && !anew.includes(kind)) return ['coalesced'];
  const queued = relations.filter((relation) => relation !== 'cancel').length;
  const isFull = queued >= longestQueue && !limitless.includes(kind);
  const otherwise = isRefused ? 'refused: not-allowed' : isFull ? 'refused: too-many-operations' : 'requested';
  const refusal = refusalOf(request, instance);
  // A restart or backup that has begun is not what is asked for any more; whether it has, the audit does not tell.
  const joined = !isRefused && isSame ? ['coalesced'] : [];
  if (refusal !== undefined) return [...joined, `refused: ${refusal}`];
  if (kind === 'verify') return verifyAnswers(instance, otherwise);
  if (!isGated(request)) return [...joined, otherwise];
  return [...joined, ...(bills.mayPass ? [otherwise] : []), ...(bills.mayRefuse ? ['refused: not-allowed'] : [])];
}

/** There is something to look at from some moment on that the audit does not tell, while a backup is at work or was ended. */
function verifyAnswers({ backups, isPurged }: ModelInstance, otherwise: string): readonly string[] {
  if (backups.isThere && !isPurged) return [otherwise];
  return backups.mayBe ? [otherwise, 'refused: not-found'] : ['refused: not-found'];
}

type Check = readonly [says: (instance: ModelInstance, cause: string) => boolean, code: string];

const terminated: Check = [({ desired }) => desired === 'terminated', 'terminated'];
const notTerminated: Check = [({ desired }) => desired !== 'terminated', 'not-allowed'];
const purged: Check = [({ isPurged }) => isPurged, 'terminated'];
const suspended: Check = [({ suspensions }) => suspensions.size > 0, 'suspended'];
const stopped: Check = [({ desired }) => desired !== 'running', 'not-allowed'];
const neverMade: Check = [({ isMade }) => !isMade, 'not-allowed'];
const unmade: Check = [
  ({ isMade, unfinished }) => !isMade && unfinished.every((one) => one.kind !== 'provision'),
  'not-allowed',
];

/** What speaks against a request, in this order. Bills are asked last, so what they say is not part of this. */
const checks: Readonly<Record<string, readonly Check[]>> = {
  start: [terminated, unmade, suspended],
  restart: [terminated, unmade, suspended, stopped],
  stop: [terminated, unmade],
  repair: [terminated, unmade],
  suspend: [terminated],
  resume: [terminated, [({ suspensions }, cause) => !suspensions.has(cause), 'not-allowed']],
  terminate: [terminated],
  undo: [purged, notTerminated, [({ isWithoutUndo }) => isWithoutUndo, 'terminated'], neverMade],
  purge: [purged, notTerminated, [({ isWithoutUndo }) => !isWithoutUndo, 'not-allowed']],
  // It names a backup that was made before the storm, and nothing removes that while the instance is there.
  restore: [purged, terminated, unmade],
  backup: [
    purged,
    neverMade,
    [({ desired }, kind) => desired === 'terminated' && kind !== 'final', 'terminated'],
    [({ desired }, kind) => desired !== 'terminated' && kind === 'final', 'not-allowed'],
  ],
};

function refusalOf({ kind, cause }: Request, instance: ModelInstance): string | undefined {
  return checks[kind]?.find(([says]) => says(instance, cause ?? ''))?.[1];
}

function isGated({ kind, cause }: Request): boolean {
  return kind === 'start' || kind === 'restart' || kind === 'undo' || (kind === 'resume' && cause === 'billing');
}
