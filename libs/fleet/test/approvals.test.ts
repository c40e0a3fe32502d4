import { Duration } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createApiToken,
  decideApproval,
  requestApproval,
  type Approval,
  type Caller,
} from '../src/index.ts';
import { caller, codeOf, kinds, openTestFleet, type TestFleet } from './test-fleet.ts';

let fleet: TestFleet;
let asked: Approval;
beforeEach(async () => {
  fleet = await openTestFleet();
  asked = await requestApproval(fleet, {
    caller: caller('admin', 'a@works'),
    action: 'activateAuthority',
    input: '{"id":"issuing-2"}',
    summary: 'activate issuing-2',
    lifetime: Duration.hours(1),
  });
});
afterEach(() => fleet.close());

const decide = (name: string, decision: 'approved' | 'rejected' = 'approved') =>
  decideApproval(fleet, { caller: caller('admin', name), id: asked.id, decision });

describe('a change that waits for a second administrator', () => {
  it('is open to another until its end, to the millisecond', async () => {
    fleet.clock.advance(Duration.hours(1) - 1);
    expect((await decide('b@works')).state).toBe('approved');
    expect(kinds(await fleet.store.listEntriesOf(asked.id, 9))).toEqual([
      'approval-approved',
      'approval-requested',
    ]);
  });

  it('is APPROVAL_CLOSED from its end on', async () => {
    fleet.clock.advance(Duration.hours(1));
    expect(await codeOf(decide('b@works'))).toBe('APPROVAL_CLOSED');
    expect(await fleet.store.findApproval(asked.id)).toEqual(asked);
  });

  it('by twenty at once is decided once', async () => {
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => codeOf(decide(`b${String(n)}@works`))),
    );
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
  });

  it('is NOT_FOUND under another id', async () => {
    const given = {
      caller: caller('admin', 'b@works'),
      id: 'apr_x',
      decision: 'approved',
    } as const;
    expect(await codeOf(decideApproval(fleet, given))).toBe('NOT_FOUND');
  });

  /** Asks with the last of so many tokens, each made with the one before it, the first with a certificate. */
  async function askWithToken(length: number): Promise<Approval> {
    let asking: Caller = caller('admin', 'a@works');
    for (let made = 0; made < length; made++) {
      const { token } = await createApiToken(fleet, {
        ...{ caller: asking, description: '', role: 'admin', lifetime: Duration.hours(1) },
      });
      asking = { role: 'admin', name: token.id, via: 'token' };
    }
    return requestApproval(fleet, {
      ...{ caller: asking, action: 'retireAuthority', input: '{}', summary: 'retire issuing-1' },
      lifetime: Duration.hours(1),
    });
  }

  it('is not allowed by whoever made the token that made the token it was asked for with', async () => {
    const { id, requestedBy } = await askWithToken(9);
    expect(requestedBy).toBe('admin:a@works');
    const given = { caller: caller('admin', 'a@works'), id, decision: 'approved' } as const;
    expect(await codeOf(decideApproval(fleet, given))).toBe('FORBIDDEN');
  });

  it('is not taken from a token whose maker is too far away to be told', async () => {
    expect(await codeOf(askWithToken(12))).toBe('FORBIDDEN');
  });
});
