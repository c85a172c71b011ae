import { Failure } from '#shared/domain/failure.ts';
import { instanceIdPattern, namesOf } from '#shared/domain/instance/names.ts';

/** Holds the fences of a server. Its advisory locks order the work on warm databases. */
export const controlDatabase = 'fleet_control';

/**
 * NOLOGIN role that owns the objects in templates and ready clones. It owns no database: REASSIGN OWNED moves shared
 * objects as well, and would hand a template to the first tenant.
 */
export const templateObjectsRole = 'fleet_template_objects';

/** @throws Failure `invalid-request` for anything that is not an instance id, before a name is made of it. */
export function tenantNames(instanceId: string): ReturnType<typeof namesOf> {
  return namesOf(checkInstanceId(instanceId));
}

/** A database under construction. The fence in the name keeps two holders from building into one. */
export function makingName(instanceId: string, fence: number): string {
  return `making_${checkInstanceId(instanceId)}_${fence}`;
}

/** A database that nobody needs: whoever finds it may drop it. Made by RENAME only, never by CREATE. */
export function trashName(owner: string, suffix: string): string {
  return `trash_${owner}_${suffix}`;
}

/** The database of a terminated instance: closed to connections, whole, until it is purged. */
export function tombstoneName(instanceId: string): string {
  return `tombstone_${checkInstanceId(instanceId)}`;
}

/** Database and role of a verification, on a server that holds no tenants. @throws Failure `invalid-request` */
export function checkVerificationName(name: string): string {
  if (!/^verify_[0-9a-f]{8}_[0-9]{1,9}$/.test(name)) {
    throw new Failure('invalid-request', 'The database of a verification is named verify_<operation>_<round>');
  }
  return name;
}

/** A database no record knows: closed to connections, for a person to look at. `count` tells several of one id apart. */
export function quarantineName(instanceId: string, count: number): string {
  return `quarantine_${checkInstanceId(instanceId)}_${count}`;
}

/** @throws Failure `invalid-request` for anything that is not a template's digest. */
export function templateNames(digest: string) {
  if (!/^[0-9a-f]{12}$/.test(digest)) {
    throw new Failure('invalid-request', 'A template digest has 12 lower-case hexadecimal digits');
  }
  return {
    template: `template_${digest}`,
    building: `building_${digest}`,
    buildRole: `build_${digest}`,
    /** `warm_<digest>_<8 random>`: ready to be claimed. */
    warmPrefix: `warm_${digest}_`,
    /** `filling_<digest>_<8 random>`: a clone that is not closed to PUBLIC yet. */
    fillingPrefix: `filling_${digest}_`,
  } as const;
}

/** What `isPersonalised` reads, as the database's comment. */
export function personalisedMark(instanceId: string): string {
  return `fleet: personalised for instance ${checkInstanceId(instanceId)}`;
}

/** The comment of a database that was made empty for an init Job: what is in it counts when the Job has succeeded. */
export const initialisingMark = 'fleet: being initialised by a Job';

export function checkInstanceId(instanceId: string): string {
  if (!instanceIdPattern.test(instanceId)) {
    throw new Failure('invalid-request', 'An instance id has 12 characters of lower-case base32');
  }
  return instanceId;
}

/** Database and role of a load, beside what is live. @throws Failure `invalid-request` */
export function checkLoadName(name: string): string {
  if (!/^load_[a-z2-7]{12}_[0-9a-f]{8}_[0-9]{1,9}$/.test(name)) {
    throw new Failure('invalid-request', 'The database of a load is named load_<instance>_<operation>_<round>');
  }
  return name;
}

/** The database that a restore took out. @throws Failure `invalid-request` */
export function checkOldSideName(name: string): string {
  if (!/^old_[a-z2-7]{12}_[0-9a-f]{8}$/.test(name)) {
    throw new Failure('invalid-request', 'The database that a restore took out is named old_<instance>_<operation>');
  }
  return name;
}
