import { afterAll, beforeAll, test } from 'vitest';
import { type CaseResult, runUndisturbed } from '#scripts/test/crash/case.ts';
import { crashEverywhere, type Expected } from '#scripts/test/crash/compare.ts';
import { startWorld, type World } from '#scripts/test/crash/world.ts';
import { untilWarm } from '#shared/testing/fleet.ts';

/** Every so many stop points are enough: what is undone is what the steps made. */
const everyForCancel = Number(process.env['CRASH_CANCEL_EVERY'] ?? 10);

let world: World;
beforeAll(async () => {
  world = await startWorld({ warmTarget: 8 });
  await untilWarm(world.fleet);
});
afterAll(() => world?.end());

/** Cancelled: nothing outside the records, and they say so. */
function undone({ endState }: CaseResult): Expected {
  return {
    endState: {
      ...endState,
      ...statesOf(endState, { state: 'cancelled', has_url: null, next_check_at: null, lease_holder: null }),
      instances: [
        {
          status: 'terminated',
          desired_state: 'terminated',
          has_host: false,
          is_placed: false,
          generation: 1,
          observed_generation: 0,
        },
      ],
      audit: ['provision.cancel', 'provision.cancelled', 'provision.requested'],
      databases: [],
      roles: [],
      objects: [],
    },
    logins: undefined,
  };
}

function statesOf(endState: CaseResult['endState'], wanted: object) {
  const operations = endState['operations'] as object[];
  return { operations: operations.map((operation) => ({ ...operation, ...wanted })) };
}

test('killed anywhere and then cancelled, a provisioning leaves nothing', { timeout: 600_000 }, async () => {
  const { points } = await runUndisturbed(world);
  // Before the row there is nothing to cancel, after the last step nothing to undo, and while the operation waits for
  // its Deployment the cancel may come too late.
  const numberOf = (name: string, after = 0) => {
    const point = points.find((one) => one.name === name && one.number > after);
    if (point === undefined) throw new Error(`the undisturbed run did not pass ${name}`);
    return point.number;
  };
  const accepted = numberOf('platform: COMMIT answered');
  const waits = numberOf('platform: UPDATE operations, UPDATE operation_steps before');
  // A renewal of the lease, or an event that found it held, is called the same: there are none while it waits.
  const takenAgain = numberOf('platform: UPDATE operations answered', waits);
  const answers = numberOf('GET /web/login before');
  const chosen = points
    .filter(({ number: at }) => (at >= accepted && at < waits) || (at >= takenAgain && at < answers))
    .filter((_, index) => index % everyForCancel === 0);
  await crashEverywhere(world, chosen, {
    title: 'kill -9 during provision, then cancel',
    recovery: () => 'cancel',
    expected: undone,
    ofRun: points,
  });
});
