// certificatePolicies (RFC 5280 §4.2.1.4), as far as reading them goes.
import { derMalformed, readSequence } from './der-reader.ts';
import { oids } from './oids.ts';

const knownQualifiers: ReadonlySet<string> = new Set([oids.cps, oids.userNotice]);
const maxPolicies = 64;

export interface ParsedPolicies {
  /** Dotted object identifiers, each once. */
  readonly policies: string[];
  /** True when a qualifier is neither a CPS pointer nor a user notice: a critical extension can't be processed then. */
  readonly hasUnknownQualifier: boolean;
}

/** @throws {KeylineError} DER_MALFORMED; also for a policy that comes twice */
export function parseCertificatePolicies(valueDer: Uint8Array): ParsedPolicies {
  const reader = readSequence(valueDer);
  if (reader.isAtEnd()) throw derMalformed('empty certificatePolicies (RFC 5280 §4.2.1.4)');
  const policies: string[] = [];
  let hasUnknownQualifier = false;
  while (!reader.isAtEnd()) {
    const information = reader.enter();
    const policy = information.readOid();
    const qualifiers = information.isAtEnd() ? undefined : information.enter();
    information.finish();
    while (qualifiers?.isAtEnd() === false) {
      const qualifier = qualifiers.enter();
      if (!knownQualifiers.has(qualifier.readOid())) hasUnknownQualifier = true;
    }
    if (policies.includes(policy) || policies.length === maxPolicies) {
      throw derMalformed(`the policy ${policy} comes twice, or too many do (RFC 5280 §4.2.1.4)`);
    }
    policies.push(policy);
  }
  return { policies, hasUnknownQualifier };
}
