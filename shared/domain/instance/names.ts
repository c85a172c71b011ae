import { createHash } from 'node:crypto';

/** 12 characters of lower-case base32 (RFC 4648 alphabet, no padding): 60 bits. */
export const instanceIdPattern = /^[a-z2-7]{12}$/;

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * The instance id of a request that brings none: always the same for one source and one idempotency key,
 * so that a request delivered twice names one instance.
 */
export function deriveInstanceId(source: string, idempotencyKey: string): string {
  const digest = createHash('sha256').update(`${source}\n${idempotencyKey}`, 'utf8').digest();
  let bits = digest.readBigUInt64BE(0);
  let id = '';
  for (let index = 0; index < 12; index += 1) {
    id += alphabet.charAt(Number(bits & 31n));
    bits >>= 5n;
  }
  return id;
}

/** Every name derived from an instance id. All fit PostgreSQL's 63 bytes and Kubernetes' DNS-1123 labels. */
export const namesOf = (instanceId: string) =>
  ({
    /** Kubernetes objects: Deployment, Service, Ingress, PVC, NetworkPolicy. */
    object: `odoo-${instanceId}`,
    cronDeployment: `odoo-${instanceId}-cron`,
    /** Ingress of the customer's own hosts. */
    domainsIngress: `odoo-${instanceId}-domains`,
    /** Secret with the generated passwords; no tenant pod mounts it. */
    credentialsSecret: `odoo-${instanceId}-credentials`,
    /** Secret with odoo.conf; the only one the tenant pod mounts. */
    configurationSecret: `odoo-${instanceId}-configuration`,
    database: `odoo_${instanceId}`,
    /** Login role of the tenant. */
    role: `odoo_${instanceId}`,
    /** NOLOGIN owner of the database, so that the tenant cannot drop it. */
    ownerRole: `odoo_${instanceId}_owner`,
    /** Reads the database for a backup; there only while one is at work. */
    backupRole: `odoo_${instanceId}_backup`,
  }) as const;
