// What is advised about a right that somebody does not have: the thing that lasts, not what the next comparison with the fleet takes back.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rightRemedy } from '../src/engine/right-remedy.ts';
import { TestBroker } from './support/test-broker.ts';

const rolesOf = (...roles: { name: string; text: string | undefined }[]) => ({
  rolesOf: () => roles,
});
const place = 'roles/device.yaml (publish: line 7, subscribe: line 9)';

describe('the advice about a right', () => {
  it('names file and line of a role that the issuing CA pushed, and how a change is applied', () => {
    const said = rightRemedy(rolesOf({ name: 'device', text: place }), 'pump', 'publish');
    expect(said).toContain(`its role "device", or change that role in ${place}`);
    expect(said).toMatch(/keyline role apply.*keyline role check pump TOPIC --publish/);
    expect(said).not.toContain('publishClientSend');
  });

  it('names the role of the configuration, not that which was filled for some identities', () => {
    const name = `device~${'0'.repeat(24)}`;
    expect(rightRemedy(rolesOf({ name, text: place }), 'pump', 'subscribe')).toContain('"device"');
  });

  it('says of a role that somebody made by hand which right it lacks, and what becomes of a pushed one', () => {
    const said = rightRemedy(rolesOf({ name: 'own', text: 'see $(reboot)' }), 'pump', 'subscribe');
    expect(said).toMatch(/"own".*subscribePattern.*the next comparison takes back/);
    expect(said).not.toContain('reboot');
  });

  it('says that there is no role where there is none', () => {
    expect(rightRemedy(rolesOf(), 'pump', 'publish')).toMatch(/has no role on this broker/);
  });
});

describe('a denied message', () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(() => broker.stop());

  it('names the place in the log and not to the client, and a changed place cuts nobody', async () => {
    const client = await broker.connect(await broker.device('pump'), { clientId: 'pump' });
    const text = { command: 'modifyRole', rolename: 'role-pump', textdescription: place };
    expect(await broker.control(text)).toMatchObject([{ command: 'modifyRole' }]);
    const denied = await client.publishAsync('elsewhere', '1', { qos: 1 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(denied).toMatchObject({ code: 0x87 });
    expect(client.connected).toBe(true);
    expect(broker.line('message denied')?.msg).toContain(place);
    const [answer] = await broker.control({ command: 'getPresence' });
    expect(answer?.data).toMatchObject({ refusals: [{ remedy: expect.stringContaining(place) }] });
  });
});
