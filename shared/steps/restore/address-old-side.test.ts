import { expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { exampleContext, exampleCredentials, exampleOperation } from '#shared/testing/examples.ts';
import { addressOldSide } from './address-old-side.ts';
import type { RestorePorts } from './restore-parts.ts';

function makeWorld(options: { hasIt: boolean; pods?: number; refusal?: Failure }) {
  const did: string[] = [];
  const answer = async () => {
    if (options.refusal !== undefined) throw options.refusal;
  };
  const ports = {
    databases: {
      hasBaseUrl: async () => {
        await answer();
        return options.hasIt;
      },
      setBaseUrl: async () => {
        await answer();
        did.push('set');
      },
    },
    credentials: { read: async () => exampleCredentials },
    cluster: {
      apply: async ({ desiredState }: { desiredState: string }) => void did.push(desiredState),
      countPods: async () => options.pods ?? 0,
    },
    pause: async () => undefined,
  } as unknown as RestorePorts;
  return { step: addressOldSide(ports), did };
}

const undo = exampleContext({ operation: exampleOperation({ kind: 'restore', request: { undoes: 'r1' } }) });
const backup = exampleContext({ operation: exampleOperation({ kind: 'restore', request: { backup: 'b1' } }) });

test('an old side gets the address of now, while no Odoo remembers the old one', async () => {
  const { step, did } = makeWorld({ hasIt: false });
  expect(await step.look(undo)).toEqual(missing);
  expect(await step.act(undo)).toEqual(done);
  expect(did).toEqual(['stopped', 'set']);
});

test('the pods of one that is not wanted any more end, too', async () => {
  const { step, did } = makeWorld({ hasIt: false });
  const stopping = { ...undo, instance: { ...undo.instance, desiredState: 'stopped' as const } };
  expect(await step.act(stopping)).toEqual(done);
  expect(did).toEqual(['stopped', 'set']);
});

test('one that has it, and what a backup held, is left alone', async () => {
  expect(await makeWorld({ hasIt: true }).step.look(undo)).toEqual(done);
  expect(await makeWorld({ hasIt: false }).step.look(backup)).toEqual(done);
});

test('one that cannot be told goes back as it is; a server that is away is waited for', async () => {
  const refused = makeWorld({ hasIt: false, refusal: new Failure('misconfigured', 'There is no such column.') });
  expect(await refused.step.look(undo)).toEqual(done);
  const away = makeWorld({ hasIt: false, refusal: new Failure('unavailable', 'The server is away.') });
  await expect(away.step.look(undo)).rejects.toMatchObject({ code: 'unavailable' });
});
