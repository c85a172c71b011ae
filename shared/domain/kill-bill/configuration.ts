import * as v from 'valibot';
import type { SubscriptionData } from '#events/billing/subscription.ts';
import * as fields from '#events/fields.ts';
import { configurationEntries } from '#events/instance/configuration.ts';
import type { CustomField } from './account.ts';

/** What the custom fields of a subscription say of its instance. */
export type FieldsRead = {
  /** The instance it pays for already. */
  instance?: string;
  configuration?: NonNullable<SubscriptionData['configuration']>;
  /** What a person has to mend, in a sentence that repeats no value. */
  problem?: string;
};

const configurationSchema = v.strictObject(configurationEntries);
const required = ['instance_name', 'instance_admin_email', 'instance_database_name'] as const;

/**
 * Reads them as the older platform wrote them. Fields are added one by one after the subscription: as long as a required
 * one is missing, nothing is said. Sizes and the like follow from the plan, whatever the fields say.
 */
export function readFields(all: readonly Pick<CustomField, 'name' | 'value'>[]): FieldsRead {
  const values = new Map(all.map(({ name, value }) => [name, value.trim()]));
  const text = (name: string) => (values.get(name) === '' ? undefined : values.get(name));
  const target = text('target_instance_id') ?? text('instance_id');
  if (target !== undefined) {
    if (v.is(fields.instanceId, target)) return { instance: target };
    // an id of the older platform, or of nobody; without a configuration there is nothing to be made either
    const problem = 'Its custom field target_instance_id or instance_id is no instance id of ours.';
    if (required.some((name) => text(name) === undefined)) return { problem };
  }
  if (required.some((name) => text(name) === undefined)) return {};
  const wanted = {
    name: labelOf(text('instance_subdomain') ?? text('instance_database_name') ?? ''),
    owner: { email: text('instance_admin_email') },
    ...imageOf(text('instance_odoo_version')),
    ...modulesOf(text('instance_custom_addons')),
  };
  const parsed = v.safeParse(configurationSchema, wanted);
  if (parsed.success) return { configuration: parsed.output };
  const [issue] = parsed.issues;
  return { problem: `Its custom fields make no instance: ${v.getDotPath(issue) ?? 'they'} ${issue.message}.` };
}

/** Databases may be named with `_`, hosts may not. */
function labelOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** `17.0`, `17` and `odoo-17` are one; without a version the platform's own default counts. */
function imageOf(version: string | undefined): { image?: string } {
  const major = /^(?:odoo-)?(\d{1,2})(?:\.0)?$/.exec(version ?? '')?.[1];
  return major === undefined ? {} : { image: `odoo-${major}` };
}

function modulesOf(list: string | undefined): { modules?: string[] } {
  const modules = (list ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return modules.length === 0 ? {} : { modules };
}
