import * as v from 'valibot';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText } from '../schemas.ts';

const plan = v.strictObject({
  id: idText,
  cpuMillis: v.pipe(v.number(), v.integer()),
  memoryMib: v.pipe(v.number(), v.integer()),
  diskGib: v.pipe(v.number(), v.integer()),
  workers: v.pipe(v.number(), v.integer()),
  replicas: v.pipe(v.number(), v.integer()),
  undoDays: v.pipe(v.number(), v.integer()),
  backupHours: v.pipe(v.number(), v.integer()),
});

const example = {
  id: 'small',
  cpuMillis: 500,
  memoryMib: 512,
  diskGib: 5,
  workers: 0,
  replicas: 1,
  undoDays: 30,
  backupHours: 24,
};

export function planRoutes({ database }: Pick<ApiPorts, 'database'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/plans',
      operationId: 'listPlans',
      summary: 'What instances are sold with.',
      scope: 'instances:read',
      limit: 'read',
      fields: { of: 'items', names: Object.keys(plan.entries) },
      responses: {
        200: {
          description: 'All plans, by id.',
          schema: v.strictObject({ items: v.array(plan) }),
          example: { items: [example] },
        },
      },
      async handle() {
        const { rows } = await database.query(
          `select id, cpu_millis as "cpuMillis", memory_mib as "memoryMib", disk_gib as "diskGib", workers, replicas,
             undo_days as "undoDays", backup_hours as "backupHours"
           from plans order by id`,
        );
        return { status: 200, body: { items: rows } };
      },
    }),
  ];
}
