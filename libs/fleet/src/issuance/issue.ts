// The one way to a certificate: read, decide, sign, commit; and decide anew when somebody else was faster.
import { KeylineError } from '@keyline/kernel';
import { getEntry, isInOtherCase, type FailedCommit, type FleetContext } from '../context.ts';
import type { Admission, Issued } from './admission.ts';

/**
 * How often it is decided. Two that ask at once: the second meets what the first did and is answered by that. Who loses more often is
 * one of many that want different things of one device.
 */
const attempts = 3;

/** @throws {KeylineError} the refusal of the admission or the decision; why it could not be committed */
export async function issue<Seen, Holder extends object>(
  { store, issuer, clock }: Pick<FleetContext, 'store' | 'issuer' | 'clock'>,
  admission: Admission<Seen, Holder>,
): Promise<Issued<Holder>> {
  for (let attempt = 1; ; attempt++) {
    const now = clock.now();
    const seen = await admission.read(store, now);
    const decision = admission.decide(seen, now);
    if (decision.verdict === 'refused') {
      if (decision.unit !== undefined) await store.commit(decision.unit);
      throw decision.error;
    }
    if (decision.verdict === 'answered') {
      const { holder, certificate } = decision;
      const entry = await getEntry(store, { name: certificate.serial, entry: certificate.entry });
      return { ...holder, certificate, entry, created: false };
    }
    const issued = await issuer.issue(decision.request);
    const work = decision.work(issued);
    const result = await store.commit(work.unit);
    if (result.ok) {
      const [entry] = result.entries;
      if (entry === undefined) {
        throw new KeylineError('INTERNAL', `${issued.serial} was issued without a ledger entry.`);
      }
      return {
        ...work.holderAfter(entry.seq),
        certificate: { ...work.certificate, entry: entry.seq },
        entry,
        created: true,
      };
    }
    if (attempt === attempts || !isLostRace(result)) throw decision.explain(result);
  }
}

/** Whether what was read is not so any more, and what stands now may be decided otherwise. */
function isLostRace(failure: FailedCommit): boolean {
  switch (failure.code) {
    case 'DEVICE_CHANGED':
    case 'CERTIFICATE_ALREADY_REVOKED':
      return true;
    case 'DEVICE_EXISTS':
      return !isInOtherCase(failure);
    default:
      return false;
  }
}
