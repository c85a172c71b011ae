import { repairedKinds, ruleOf } from './policy.ts';

/** What the passes will do about a finding by themselves. */
export const intents = {
  /** The instance's repair is asked for, at the next pass or when the wait after the last one is over. */
  repair: 'a repair is asked for',
  /** One of ours that is put right where it stands. */
  correct: 'put right in place',
  /** Put out of use once it has stood for some days, never deleted. */
  quarantine: 'put aside when it has stood for days',
  /** A person decides. */
  report: 'nothing: a person decides',
  /** A repair would fail while something else, which only a person can mend, is open. */
  blocked: 'nothing until a person has mended what else is amiss',
  /** An operation is at work on the instance: what was seen before it is old. */
  wait: 'nothing until its operation has ended',
} as const;

export type Intent = keyof typeof intents;

export type IntentFacts = {
  kind: string;
  /** An operation of the instance is unfinished. */
  isMoving: boolean;
  /** Something is open that no repair can mend. */
  isBlocked: boolean;
  /** There is an instance that a repair may be asked for: brought about or terminated, and not purged. */
  isRepairable: boolean;
};

/** What comes of a finding, by the rules that the passes go by. Pure. */
export function intentOf({ kind, isMoving, isBlocked, isRepairable }: IntentFacts): Intent {
  if (kind === 'server-count-wrong') return 'correct';
  const isRepaired = repairedKinds.some((one) => one === kind);
  if (!isRepaired) return ruleOf(kind)?.policy === 'quarantine' ? 'quarantine' : 'report';
  if (!isRepairable) return 'report';
  if (isMoving) return 'wait';
  return isBlocked ? 'blocked' : 'repair';
}

/** What comes of all that is amiss about one instance: one repair mends whatever a repair can. Pure. */
export function intentOfAll(all: readonly Intent[]): Intent | 'none' {
  const order: readonly Intent[] = ['wait', 'repair', 'blocked', 'correct', 'quarantine', 'report'];
  return order.find((one) => all.includes(one)) ?? 'none';
}
