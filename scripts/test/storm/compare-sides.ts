import type { ModelResult } from './model.ts';
import type { Observed } from './observe.ts';

const sidePattern = /^(old|load)_([a-z2-7]{12})_([0-9a-f]{8})/;

/**
 * What a restore took out is kept, closed, as long as its instance is there; what one has loaded is nowhere when it has
 * succeeded. That of one that ended otherwise is the tick's, in its own time. Pure.
 */
export function sidesOf({
  observed,
  model,
}: {
  observed: Pick<Observed, 'servers' | 'backups'>;
  model: Pick<ModelResult, 'instances'>;
}): string[] {
  const succeeded = observed.backups.restores.filter(({ state }) => state === 'succeeded');
  const kept = succeeded
    .filter((one) => !one.is_dropped && model.instances.get(one.instance_id)?.isPurged === false)
    .map(({ id, instance_id }) => `${instance_id}_${id.slice(-8)}`);
  const found = new Set<string>();
  const wrong: string[] = [];
  for (const { id: server, databases } of observed.servers) {
    for (const { name, isOpen } of databases) {
      const [, kind, instance = '', operation = ''] = sidePattern.exec(name) ?? [];
      if (kind === undefined) continue;
      const side = `${instance}_${operation}`;
      if (kind === 'load') {
        if (succeeded.some(({ id }) => id.endsWith(operation))) wrong.push(`${server}: ${name} was left by a restore`);
        continue;
      }
      found.add(side);
      if (!kept.includes(side)) wrong.push(`${server}: ${name} is kept for nobody`);
      else if (isOpen) wrong.push(`${server}: ${name} is open`);
    }
  }
  return [...wrong, ...kept.filter((side) => !found.has(side)).map((side) => `old_${side} is on no server`)];
}
