import { expect, test } from 'vitest';
import { Failure, type FailureCode } from '#shared/domain/failure.ts';
import { takeBack } from './take-back.ts';

type Cancellation = 'none' | 'requested' | 'carried-out';

/** What becomes of an act when the records answer so, one after the other, the last one for ever. */
async function afterAnswers(answers: readonly Cancellation[], undoFails?: FailureCode) {
  let asked = 0;
  let undone = 0;
  const troubles: string[] = [];
  const undo = async () => {
    undone += 1;
    if (undoFails !== undefined) throw new Failure(undoFails, 'It is not to be had.');
  };
  await takeBack('an operation', undo, {
    records: { cancellation: async () => answers[asked++] ?? answers.at(-1) ?? 'none' },
    pause: async () => undefined,
    onTrouble: ({ code }) => troubles.push(code),
  });
  return { asked, undone, troubles };
}

test('what was made for an operation that goes on is left alone', async () => {
  expect(await afterAnswers(['none'])).toEqual({ asked: 1, undone: 0, troubles: [] });
});

test('a cancel that is being carried out is waited for', async () => {
  expect(await afterAnswers(['requested', 'requested', 'carried-out'])).toMatchObject({ asked: 3, undone: 1 });
  expect(await afterAnswers(['requested', 'none'])).toMatchObject({ asked: 2, undone: 0 });
});

test('it is not waited for longer than a request may take', async () => {
  expect(await afterAnswers(['requested'])).toMatchObject({ asked: 20, undone: 0 });
});

test('a store that does not answer is told of, one that has refused the act is not', async () => {
  expect(await afterAnswers(['carried-out'], 'unavailable')).toMatchObject({ troubles: ['unavailable'] });
  expect(await afterAnswers(['carried-out'], 'fenced')).toMatchObject({ troubles: [] });
});
