// Each write of a unit of work as one guarded statement: what must still be true is in its WHERE clause.
import type { Write } from '@keyline/fleet';
import type { ErrorCode } from '@keyline/kernel';
import type { Database, Statement } from 'better-sqlite3';
import { certificateKindCodes, certificateStateCodes, deviceStateCodes } from './codes.ts';
import { isInParts } from './crl-parts.ts';
import { prepareJobWrites } from './job-writes.ts';
import { prepareLeaseWrites } from './lease-writes.ts';
import { preparePresenceWrite } from './presence-writes.ts';
import { prepareQuarantineWrites } from './quarantine-writes.ts';
import { hexBytes, labelsText, type Row } from './rows.ts';
import { prepareStatements } from './write-statements.ts';

/** Why a write was refused; `undefined`: done. */
export type Refusal =
  | { readonly code: ErrorCode; readonly context?: Readonly<Record<string, string | number>> }
  | undefined;

/** @param firstEntry seq of the first entry of the write's unit, null when it has none */
export type ApplyWrite = (write: Write, firstEntry: number | null) => Refusal;

export function prepareWrites(db: Database): ApplyWrite {
  const statements = prepareStatements(db);
  const done = (statement: Statement, ...values: unknown[]): boolean =>
    statement.run(...values).changes > 0;

  function putLabels(device: string, labels: Readonly<Record<string, string>>): void {
    for (const name in labels) statements.insertLabel.run(name, labels[name], device);
  }

  const apply: {
    [Op in Write['op']]: (write: Extract<Write, { op: Op }>, firstEntry: number | null) => Refusal;
  } = {
    'insert-device': ({ device, distinctIgnoringCase = false }, firstEntry) => {
      const other = distinctIgnoringCase
        ? (statements.idInOtherCase.get({ id: device.id }) as string | undefined)
        : undefined;
      if (other !== undefined) {
        return { code: 'DEVICE_EXISTS', context: { device: device.id, inOtherCase: other } };
      }
      const inserted = done(
        statements.insertDevice,
        device.id,
        device.type,
        device.batch,
        labelsText(device.labels),
        deviceStateCodes.numbers[device.state],
        device.version,
        device.createdAt,
        device.updatedAt,
        device.serial === null ? null : hexBytes(device.serial),
        device.notAfter,
        firstEntry,
        firstEntry,
        device.predecessor === null ? null : hexBytes(device.predecessor),
      );
      if (!inserted) return { code: 'DEVICE_EXISTS', context: { device: device.id } };
      putLabels(device.id, device.labels);
      statements.count.run(1, deviceStateCodes.numbers[device.state]);
      return undefined;
    },
    'update-device': (write, firstEntry) => {
      const state = deviceStateCodes.numbers[write.state];
      const { at, notAfter, id, expectVersion } = write;
      const values = {
        ...{ at, notAfter, id, expectVersion, state, entry: firstEntry },
        serial: write.serial === null ? null : hexBytes(write.serial),
        predecessor: write.predecessor === undefined ? null : hexBytes(write.predecessor),
      };
      if (!done(statements.updateDeviceInState, values)) {
        const before = statements.deviceState.get(id) as number | undefined;
        const updated = done(statements.updateDevice, values);
        if (!updated || before === undefined) {
          return { code: 'DEVICE_CHANGED', context: { device: id } };
        }
        statements.count.run(-1, before);
        statements.count.run(1, state);
      }
      if (write.admits === true) statements.updateDeviceAdmission.run(write.id);
      if (write.type !== undefined) statements.updateDeviceType.run(write.type, write.id);
      if (write.batch !== undefined) statements.updateDeviceBatch.run(write.batch, write.id);
      if (write.labels !== undefined) {
        const old = statements.deviceLabels.get(write.id) as string | null;
        const oldLabels = old === null ? {} : (JSON.parse(old) as Record<string, string>);
        for (const name in oldLabels) statements.deleteLabel.run(name, oldLabels[name], write.id);
        statements.updateDeviceLabels.run(labelsText(write.labels), write.id);
        putLabels(write.id, write.labels);
      }
      return undefined;
    },
    'insert-certificate': ({ certificate, evenIfRevoked }, firstEntry) => {
      const { authority } = certificate;
      const values = [
        hexBytes(certificate.serial),
        certificateKindCodes.numbers[certificate.kind],
        certificate.owner,
        certificate.profile,
        authority,
        certificate.notBefore,
        certificate.notAfter,
        hexBytes(certificate.spkiSha256),
        certificate.der,
        certificate.crlShard,
        certificateStateCodes.numbers[certificate.state],
        certificate.revokedAt,
        certificate.reason,
        firstEntry,
      ];
      const inserted =
        evenIfRevoked === true
          ? done(statements.insertCertificate, ...values)
          : done(statements.insertOfValidAuthority, ...values, authority);
      if (inserted) return undefined;
      return evenIfRevoked !== true && statements.authorityState.get(authority) === 'revoked'
        ? { code: 'AUTHORITY_STATE_FORBIDS', context: { authority } }
        : { code: 'STORE_CONFLICT', context: { serial: certificate.serial } };
    },
    'claim-key': ({ spkiSha256, owner }) => {
      const key = hexBytes(spkiSha256);
      if (done(statements.claimKey, key, owner)) return undefined;
      const holder = statements.keyOwner.get(key) as string;
      return holder === owner ? undefined : { code: 'CSR_KEY_IN_USE', context: { owner: holder } };
    },
    'supersede-certificate': ({ serial, unlessRevoked = false }) => {
      const bytes = hexBytes(serial);
      if (done(statements.supersede, bytes) || !unlessRevoked) return undefined;
      const state = statements.certificateState.get(bytes) as number | undefined;
      if (state === undefined) return { code: 'CERTIFICATE_NOT_FOUND', context: { serial } };
      return state === certificateStateCodes.numbers.revoked
        ? { code: 'CERTIFICATE_ALREADY_REVOKED', context: { serial } }
        : undefined;
    },
    'revoke-certificate': ({ serial, at, reason, entry }, firstEntry) => {
      const bytes = hexBytes(serial);
      if (done(statements.revoke, at, reason, seqOf(firstEntry, entry), bytes)) return undefined;
      const exists = statements.certificateState.get(bytes) !== undefined;
      return {
        code: exists ? 'CERTIFICATE_ALREADY_REVOKED' : 'CERTIFICATE_NOT_FOUND',
        context: { serial },
      };
    },
    'unhold-certificate': ({ serial }, firstEntry) => {
      statements.unhold.run(firstEntry, hexBytes(serial));
      return undefined;
    },
    'end-predecessor': ({ device, serial }) =>
      done(statements.endPredecessor, device, hexBytes(serial))
        ? undefined
        : { code: 'DEVICE_CHANGED', context: { device } },
    'allow-renewal': ({ device, until }) => {
      statements.allowRenewal.run(device, until);
      return undefined;
    },
    'end-allowance': ({ device }) => {
      statements.endAllowance.run(device);
      return undefined;
    },
    'insert-token': ({ token }) => {
      statements.insertToken.run(
        token.id,
        hexBytes(token.secretHash),
        token.description,
        token.idPattern,
        token.type,
        labelsText(token.labels),
        token.maxUses,
        token.uses,
        token.expiresAt,
        token.createdAt,
        token.createdBy,
        token.revokedAt,
      );
      return undefined;
    },
    'use-token': ({ id, at }) => {
      if (done(statements.useToken, id, at)) return undefined;
      const row = statements.token.get(id) as Row | undefined;
      if (row === undefined || row['revoked_at'] !== null) return { code: 'TOKEN_INVALID' };
      return { code: (row['expires_at'] as number) <= at ? 'TOKEN_EXPIRED' : 'TOKEN_EXHAUSTED' };
    },
    'revoke-token': ({ id, at }) =>
      done(statements.revokeToken, at, id) ? undefined : { code: 'NOT_FOUND' },
    'insert-api-token': ({ token }) => {
      statements.insertApiToken.run(
        token.id,
        hexBytes(token.secretHash),
        token.description,
        token.role,
        token.expiresAt,
        token.createdAt,
        token.createdBy,
        token.revokedAt,
      );
      return undefined;
    },
    'revoke-api-token': ({ id, at }) =>
      done(statements.revokeApiToken, at, id) ? undefined : { code: 'NOT_FOUND' },
    'insert-batch': ({ batch }) =>
      done(
        statements.insertBatch,
        batch.id,
        batch.type,
        batch.quota,
        batch.issued,
        batch.idPattern,
        JSON.stringify(batch.stations),
        labelsText(batch.labels),
        batch.rework ? 1 : 0,
        batch.state,
        batch.endsAt,
        batch.createdAt,
        batch.createdBy,
      )
        ? undefined
        : { code: 'BATCH_EXISTS', context: { batch: batch.id } },
    'take-quota': ({ id, at, units }) => {
      if (done(statements.takeQuota, { id, at, units })) return undefined;
      const row = statements.batch.get(id) as Row | undefined;
      if (row === undefined) return { code: 'BATCH_NOT_FOUND' };
      const ended = row['state'] !== 'open' || (row['ends_at'] as number) <= at;
      return { code: ended ? 'BATCH_CLOSED' : 'BATCH_QUOTA_EXHAUSTED' };
    },
    'change-quota': ({ id, quota, at }) => {
      if (done(statements.changeQuota, { id, quota, at })) return undefined;
      const row = statements.batch.get(id) as Row | undefined;
      if (row === undefined) return { code: 'BATCH_NOT_FOUND' };
      const ended = row['state'] !== 'open' || (row['ends_at'] as number) <= at;
      return ended
        ? { code: 'BATCH_CLOSED' }
        : { code: 'BATCH_QUOTA_EXHAUSTED', context: { issued: row['issued'] as number } };
    },
    'close-batch': ({ id }) =>
      done(statements.closeBatch, id) ? undefined : { code: 'BATCH_NOT_FOUND' },
    'insert-authority': ({ authority }) =>
      done(
        statements.insertAuthority,
        authority.id,
        authority.state,
        authority.certificate,
        authority.root,
        JSON.stringify(authority.crlShards),
        authority.createdAt,
      )
        ? undefined
        : { code: 'AUTHORITY_EXISTS', context: { authority: authority.id } },
    'update-authority': (write) => {
      const { id, expectStates, state, certificate, root, crlShards, revokedAt, reason } = write;
      const before = statements.authorityState.get(id);
      if (!expectStates.some((expected) => expected === before)) {
        return { code: 'STORE_CONFLICT', context: { authority: id } };
      }
      statements.updateAuthority.run(
        state,
        certificate ?? null,
        root ?? null,
        crlShards === undefined ? null : JSON.stringify(crlShards),
        revokedAt ?? null,
        reason ?? null,
        id,
      );
      return undefined;
    },
    'put-trust': ({ der, at }) => {
      statements.putTrust.run(der, at);
      return undefined;
    },
    'assign-profile': ({ profile, authority }) => {
      statements.assignProfile.run(profile, authority);
      return undefined;
    },
    'insert-crl': ({ crl }) => {
      // A publisher that lost its lease may have swept away what it did not know.
      if (isInParts(crl) && statements.countPieces.get(crl.parts) !== crl.pieces) {
        return { code: 'STORE_CONFLICT', context: { number: crl.number } };
      }
      const inserted = done(
        statements.insertCrl,
        crl.list,
        crl.number,
        crl.baseNumber,
        crl.der,
        isInParts(crl) ? crl.parts : null,
        crl.thisUpdate,
        crl.nextUpdate,
        crl.ledgerSeq,
        crl.answers ?? null,
        ...[crl.list, crl.number, crl.list, crl.number],
      );
      if (!inserted) return { code: 'STORE_CONFLICT', context: { number: crl.number } };
      const prune = crl.kind === 'complete' ? statements.pruneCrls : statements.pruneDeltas;
      prune.run(crl.list, crl.number);
      return undefined;
    },
    ...prepareQuarantineWrites(db),
    'insert-approval': ({ approval }) => {
      statements.insertApproval.run(
        approval.id,
        approval.action,
        approval.input,
        approval.summary,
        approval.requestedBy,
        approval.requestedAt,
        approval.expiresAt,
        approval.state,
        approval.decidedBy,
        approval.decidedAt,
      );
      return undefined;
    },
    'decide-approval': ({ id, state, by, at }) =>
      done(statements.decideApproval, { id, state, by, at })
        ? undefined
        : { code: 'APPROVAL_CLOSED', context: { approval: id } },
    'put-alert': ({ alert }) => {
      statements.putAlert.run(
        alert.key,
        alert.severity,
        alert.summary,
        alert.count,
        JSON.stringify(alert.examples),
        alert.firstAt,
        alert.lastAt,
        alert.resolvedAt,
      );
      return undefined;
    },
    'put-presence': preparePresenceWrite(db),
    ...prepareJobWrites(db),
    'insert-idempotency': ({ record, at }) => {
      statements.pruneIdempotency.run(at);
      statements.endIdempotency.run(record.key, at);
      return done(
        statements.insertIdempotency,
        record.key,
        record.requestHash,
        record.status,
        record.body,
        record.expiresAt,
      )
        ? undefined
        : { code: 'IDEMPOTENCY_IN_PROGRESS' };
    },
    ...prepareLeaseWrites(statements),
    'move-cursor': ({ follower, seq }) => {
      statements.moveCursor.run(follower, seq);
      return undefined;
    },
  };
  return (write, firstEntry) => (apply[write.op] as ApplyWrite)(write, firstEntry);
}

/** @param entry position among the entries of the unit */
function seqOf(firstEntry: number | null, entry = 0): number | null {
  return firstEntry === null ? null : firstEntry + entry;
}
