import { accountRefresh } from './billing/account-refresh.ts';
import { invoicePaid } from './billing/invoice-paid.ts';
import { invoicePaymentFailed } from './billing/invoice-payment-failed.ts';
import { overdueChanged } from './billing/overdue-changed.ts';
import { subscriptionCancelled } from './billing/subscription-cancelled.ts';
import { subscriptionChanged } from './billing/subscription-changed.ts';
import { subscriptionCreated } from './billing/subscription-created.ts';
import { subscriptionExpired } from './billing/subscription-expired.ts';
import { subscriptionPhaseChanged } from './billing/subscription-phase-changed.ts';
import { subscriptionUncancelled } from './billing/subscription-uncancelled.ts';
import { customerDeactivated } from './customer/deactivated.ts';
import { customerDeleted } from './customer/deleted.ts';
import { customerReactivated } from './customer/reactivated.ts';
import type { AnyEventDefinition } from './envelope.ts';
import { backupAccepted, backupFailed, backupRequested, backupSucceeded } from './instance/backup.ts';
import { cloneAccepted, cloneFailed, cloneRequested, cloneSucceeded } from './instance/clone.ts';
import { exportAccepted, exportFailed, exportRequested, exportSucceeded } from './instance/export.ts';
import { importAccepted, importFailed, importRequested, importSucceeded } from './instance/import.ts';
import { provisionAccepted } from './instance/provision-accepted.ts';
import { provisionFailed } from './instance/provision-failed.ts';
import { provisionRequested } from './instance/provision-requested.ts';
import { provisioned } from './instance/provisioned.ts';
import { purgeAccepted, purgeFailed, purgeRequested, purgeSucceeded } from './instance/purge.ts';
import { repairAccepted, repairFailed, repairRequested, repairSucceeded } from './instance/repair.ts';
import { restartAccepted, restartFailed, restartRequested, restartSucceeded } from './instance/restart.ts';
import { restoreAccepted, restoreFailed, restoreRequested, restoreSucceeded } from './instance/restore.ts';
import { resumeAccepted, resumeFailed, resumeRequested, resumeSucceeded } from './instance/resume.ts';
import { startAccepted, startFailed, startRequested, startSucceeded } from './instance/start.ts';
import { statusChanged } from './instance/status-changed.ts';
import { stopAccepted, stopFailed, stopRequested, stopSucceeded } from './instance/stop.ts';
import { suspendAccepted, suspendFailed, suspendRequested, suspendSucceeded } from './instance/suspend.ts';
import { terminateAccepted, terminateFailed, terminateRequested, terminateSucceeded } from './instance/terminate.ts';
import { undoAccepted, undoFailed, undoRequested, undoSucceeded } from './instance/undo.ts';
import { verifyAccepted, verifyFailed, verifyRequested, verifySucceeded } from './instance/verify.ts';
import { ping } from './knative/ping.ts';
import { resourceAdd } from './knative/resource-add.ts';
import { resourceDelete } from './knative/resource-delete.ts';
import { resourceUpdate } from './knative/resource-update.ts';
import { notificationDue } from './notification/due.ts';
import { notificationRequested } from './notification/requested.ts';
import { operationAdvance } from './operation/advance.ts';
import { operationCancel } from './operation/cancel.ts';
import { operationRetry } from './operation/retry.ts';
import { webhookDue } from './webhook/due.ts';
import { webhookEndpointDisabled } from './webhook/endpoint-disabled.ts';

/** Every event we send or understand. */
export const catalogue = [
  provisionRequested,
  provisionAccepted,
  provisioned,
  provisionFailed,
  startRequested,
  startAccepted,
  startSucceeded,
  startFailed,
  stopRequested,
  stopAccepted,
  stopSucceeded,
  stopFailed,
  restartRequested,
  restartAccepted,
  restartSucceeded,
  restartFailed,
  suspendRequested,
  suspendAccepted,
  suspendSucceeded,
  suspendFailed,
  resumeRequested,
  resumeAccepted,
  resumeSucceeded,
  resumeFailed,
  terminateRequested,
  terminateAccepted,
  terminateSucceeded,
  terminateFailed,
  undoRequested,
  undoAccepted,
  undoSucceeded,
  undoFailed,
  purgeRequested,
  purgeAccepted,
  purgeSucceeded,
  purgeFailed,
  repairRequested,
  repairAccepted,
  repairSucceeded,
  repairFailed,
  backupRequested,
  backupAccepted,
  backupSucceeded,
  backupFailed,
  verifyRequested,
  verifyAccepted,
  verifySucceeded,
  verifyFailed,
  restoreRequested,
  restoreAccepted,
  restoreSucceeded,
  restoreFailed,
  cloneRequested,
  cloneAccepted,
  cloneSucceeded,
  cloneFailed,
  importRequested,
  importAccepted,
  importSucceeded,
  importFailed,
  exportRequested,
  exportAccepted,
  exportSucceeded,
  exportFailed,
  statusChanged,
  subscriptionCreated,
  subscriptionChanged,
  subscriptionPhaseChanged,
  subscriptionCancelled,
  subscriptionUncancelled,
  subscriptionExpired,
  invoicePaid,
  invoicePaymentFailed,
  overdueChanged,
  accountRefresh,
  customerDeactivated,
  customerReactivated,
  customerDeleted,
  operationAdvance,
  operationRetry,
  operationCancel,
  notificationRequested,
  notificationDue,
  webhookEndpointDisabled,
  webhookDue,
  ping,
  resourceAdd,
  resourceUpdate,
  resourceDelete,
] as const satisfies readonly AnyEventDefinition[];

/** Any event of the catalogue. */
export type CataloguedEvent = (typeof catalogue)[number];
export type EventType = CataloguedEvent['type'];

const byType: ReadonlyMap<string, AnyEventDefinition> = new Map(
  catalogue.map((definition) => [definition.type, definition]),
);

/** The definition of a type, or undefined for a type we do not know. */
export function eventByType(type: string): AnyEventDefinition | undefined {
  return byType.get(type);
}
