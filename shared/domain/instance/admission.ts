import { Failure } from '../failure.ts';
import { refuseSettings } from './odoo-conf.ts';
import { isReservedName } from './reserved-names.ts';

/** What a request for an instance comes to, with defaults filled in. */
export type WantedInstance = {
  instanceId: string;
  customerId: string;
  name: string;
  planId: string;
  imageId: string;
  clusterId: string;
  modules: readonly string[];
  settings: Readonly<Record<string, string | number | boolean>>;
  adminLogin: string;
  language: string;
};

/** What the records say about it, read under the customer's row lock. */
export type AdmissionFacts = {
  quota: number;
  /** The customer's instances that are not terminated. */
  liveInstances: number;
  hasPlan: boolean;
  hasImage: boolean;
  /** Undefined when there is no such cluster. */
  baseDomain: string | undefined;
  hostIsTaken: boolean;
};

type Rule = (wanted: WantedInstance, facts: AdmissionFacts) => Failure | undefined;

const nameIsFree: Rule = ({ name }) =>
  isReservedName(name)
    ? new Failure('name-reserved', `The name ${name} is reserved for the platform. Choose another name.`)
    : undefined;

const planIsKnown: Rule = ({ planId }, { hasPlan }) =>
  hasPlan
    ? undefined
    : new Failure('unknown-plan', `There is no plan ${planId}. Use the id of a plan that is offered.`);

const imageIsKnown: Rule = ({ imageId }, { hasImage }) =>
  hasImage
    ? undefined
    : new Failure('unknown-image', `There is no active image ${imageId}. Use the id of an image that is offered.`);

const clusterIsKnown: Rule = ({ clusterId }, { baseDomain }) =>
  baseDomain === undefined
    ? new Failure('misconfigured', `There is no cluster ${clusterId} in the records. Add its row, or set CLUSTER_ID.`)
    : undefined;

const settingsAreAllowed: Rule = ({ settings }) => {
  const reasons = refuseSettings(settings);
  return reasons.length === 0
    ? undefined
    : new Failure('invalid-request', `Settings are not acceptable: ${reasons.join('; ')}.`);
};

const hostIsFree: Rule = ({ name }, { hostIsTaken }) =>
  hostIsTaken ? new Failure('host-taken', `The name ${name} is taken. Choose another name.`) : undefined;

const quotaHasRoom: Rule = (_wanted, { quota, liveInstances }) =>
  liveInstances < quota
    ? undefined
    : new Failure(
        'quota-exceeded',
        `The customer has ${liveInstances} instances and may have ${quota}. Terminate one, or raise the quota.`,
      );

const rules: readonly Rule[] = [
  clusterIsKnown,
  nameIsFree,
  planIsKnown,
  imageIsKnown,
  settingsAreAllowed,
  hostIsFree,
  quotaHasRoom,
];

/** The first reason to refuse a request, or undefined. */
export function refuseProvision(wanted: WantedInstance, facts: AdmissionFacts): Failure | undefined {
  for (const rule of rules) {
    const refusal = rule(wanted, facts);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
