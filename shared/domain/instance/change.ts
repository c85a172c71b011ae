import { Failure } from '../failure.ts';
import { refuseSettings } from './odoo-conf.ts';

type Settings = Readonly<Record<string, string | number | boolean>>;

/** What a caller wants changed. A setting that is null is taken away; those not named stay. */
export type Change = {
  desiredState?: 'running' | 'stopped' | undefined;
  settings?: Readonly<Record<string, string | number | boolean | null>> | undefined;
};

/** What is there now. */
export type Changeable = {
  id: string;
  desiredState: 'running' | 'stopped' | 'terminated';
  isSuspended: boolean;
  settings: Settings;
};

/** The operation that brings a change about, and the settings to be written before it; no kind: nothing to change. */
export type ChangeDecision = { kind: 'start' | 'stop' | 'restart' | 'repair' | undefined; settings?: Settings };

/** Pure. */
export function changeOf(instance: Changeable, { desiredState, settings = {} }: Change): ChangeDecision | Failure {
  if (instance.desiredState === 'terminated') {
    const text = `Instance ${instance.id} is terminated. Undo its termination first, while that is possible.`;
    return new Failure('terminated', text);
  }
  const merged = merge(instance.settings, settings);
  const reasons = refuseSettings(merged);
  if (reasons.length > 0) {
    const text = `Settings are not acceptable: ${reasons.join('; ')}.`;
    return new Failure('invalid-request', text, { facts: { field: 'body.settings' } });
  }
  const areOther = !isSame(merged, instance.settings);
  const kind = kindOf(instance, { desiredState, areOther });
  return areOther ? { kind, settings: merged } : { kind };
}

function kindOf(
  { desiredState: now, isSuspended }: Changeable,
  { desiredState = now, areOther }: { desiredState?: Changeable['desiredState'] | undefined; areOther: boolean },
): ChangeDecision['kind'] {
  // A start writes the settings, and a stopped one gets them with its next start.
  if (desiredState !== now) return desiredState === 'running' ? 'start' : 'stop';
  if (!areOther) return undefined;
  return now === 'running' && !isSuspended ? 'restart' : 'repair';
}

function merge(now: Settings, changes: NonNullable<Change['settings']>): Settings {
  const entries = Object.entries({ ...now, ...changes });
  return Object.fromEntries(entries.filter((entry): entry is [string, string | number | boolean] => entry[1] !== null));
}

function isSame(one: Settings, other: Settings): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
