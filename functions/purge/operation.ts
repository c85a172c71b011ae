import { purgeAccepted, purgeFailed, purgeSucceeded } from '#events/instance/purge.ts';
import { retainAtNextTurn } from '#shared/adapters/postgres/backup-deletion.ts';
import { certifyDeletion, listCertificates } from '#shared/adapters/postgres/deletion-records.ts';
import { giveUpExportsOf } from '#shared/adapters/postgres/export-deletion.ts';
import { markPurged } from '#shared/adapters/postgres/instance-records.ts';
import { markSidesPurged } from '#shared/adapters/postgres/old-side-records.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { purgeDatabase } from '#shared/steps/database/keep-database.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { leaveServer } from '#shared/steps/placement/leave-server.ts';
import { type FindingPorts, findNothing, noteFindings } from '#shared/steps/purge/note-findings.ts';
import { removeCredentials, removePart } from '#shared/steps/runtime/remove-part.ts';
import { type TakeDownPorts, takeDown } from '#shared/steps/runtime/take-down.ts';

function isTerminated(instance: Instance): boolean {
  return instance.desiredState === 'terminated';
}

export type PurgePorts = TakeDownPorts &
  Omit<FindingPorts, 'checkSigner'> & {
    placement: Placement;
    /** Signs the certificate; undefined where the fleet has no key ring: it says then that nobody has signed it. */
    signer: Signer | undefined;
  };

/**
 * The second phase of an end: destroys what a termination has kept, as far as it bears the instance's id. What should be
 * gone since then is taken away first, whoever put it there. It ends with a certificate in the audit log that says what was
 * there, that it is gone, and which backups stay until when.
 */
export function purgeOperation(ports: PurgePorts): InstanceOperation {
  const { signer } = ports;
  const checkSigner = () => void signer?.sign(Buffer.alloc(0));
  const removing = [...takeDown(ports), removePart('volume', ports), purgeDatabase(ports), removeCredentials(ports)];
  return {
    definition: {
      ...definitionFacts.purge,
      steps: onlyWhile(isTerminated, [
        noteFindings({ ...ports, checkSigner }),
        ...removing,
        findNothing({ ...ports, checkSigner }),
        leaveServer(ports),
      ]),
      others: [{ version: 1, steps: onlyWhile(isTerminated, [...removing, leaveServer(ports)]) }],
    },
    events: { accepted: purgeAccepted, failed: purgeFailed },
    async succeeded(transaction, { operation }, { data, envelope }) {
      const certificates = await listCertificates(transaction, operation.instanceId);
      const mine = certificates.find(({ operationId }) => operationId === operation.id);
      if (mine === undefined) return announce(purgeSucceeded, data, envelope);
      const told = { certificate: mine.sha256, copiesuntil: mine.copiesUntil };
      return announce(purgeSucceeded, { ...data, ...told }, envelope);
    },
    moves: { finished: 'purge-finished' },
    isStillWanted: isTerminated,
    async onSuccess(transaction, { instance, operation }) {
      await markPurged(transaction, instance.id);
      await markSidesPurged(transaction, instance.id);
      await giveUpExportsOf(transaction, instance.id, { operationId: operation.id });
      await retainAtNextTurn(transaction, instance.id);
      await certifyDeletion(transaction, operation, signer);
    },
  };
}
