import { identityStatements, moduleStatements } from '#shared/adapters/odoo-server/identity.ts';
import { neutralizeDatabase } from '#shared/adapters/odoo-server/neutralize.ts';
import type { NeutralizeOrder } from '#shared/domain/backup/order.ts';
import { withSession } from './session.ts';
import type { TaskContext } from './task.ts';

/**
 * Makes the loaded copy neutral, and with an identity another Odoo. A statement takes as long as it
 * takes: the session has no limit, and the Job has a deadline. Repeatable.
 * @throws Failure `not-allowed`, naming what is left: then nobody may be let in.
 */
export async function neutralizeLoaded(
  { database, identity }: NeutralizeOrder,
  { signal }: Pick<TaskContext, 'signal'>,
): Promise<void> {
  const further = identity === null ? [] : [...identityStatements(identity.baseUrl), ...moduleStatements];
  await withSession(database, signal, (client) => neutralizeDatabase(client, further));
}
