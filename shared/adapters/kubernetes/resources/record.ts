import * as v from 'valibot';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { type InstanceRecord, instanceRecordSchema } from '#shared/domain/platform/world.ts';

/** On the volume claim, which is there as long as the data: what the instance's row says that nothing else in the cluster does. */
export const recordAnnotation = 'odoofleet.dev/record';

/** As text that is the same for the same row. */
export function recordOf(instance: Instance): string {
  const record: InstanceRecord = {
    customer: instance.customerId,
    name: instance.name,
    plan: instance.plan.id,
    image: instance.image.id,
    language: instance.language,
    login: instance.adminLogin,
    modules: [...instance.modules],
    settings: instance.settings,
    ...(instance.clonedFrom === null ? {} : { clonedFrom: instance.clonedFrom }),
  };
  return JSON.stringify(record);
}

/** undefined where there is none, or none that this version understands. */
export function readRecord(text: string | undefined): InstanceRecord | undefined {
  if (text === undefined) return undefined;
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), instanceRecordSchema), text);
  return read.success ? read.output : undefined;
}
