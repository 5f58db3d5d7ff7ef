// MSAL and @azure/identity, each flow once; what it got is printed as JSON, a line each.
//
//   node people.mjs PACKAGES ARM TENANT CLIENT_ID CERTIFICATE ASSERTION_FILE
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import fs from 'node:fs';

const [packages, arm, tenant, clientId, certificate, assertionFile] = process.argv.slice(2);
const require = createRequire(packages + '/');
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const identity = await load('@azure/identity');
const msalModule = await load('@azure/msal-node');
const msal = msalModule.default ?? msalModule;
const scope = arm + '/.default';
const say = (what, value) => console.log(JSON.stringify({ what, ...value }));
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

const options = { authorityHost: arm, disableInstanceDiscovery: true };
let credential = new identity.ClientCertificateCredential(tenant, clientId, certificate, options);
say('certificate', { claims: claims((await credential.getToken(scope)).token) });

credential = new identity.ClientAssertionCredential(
  tenant,
  clientId,
  async () => fs.readFileSync(assertionFile, 'utf8').trim(),
  options,
);
say('federated', { claims: claims((await credential.getToken(scope)).token) });

const app = new msal.PublicClientApplication({
  auth: {
    clientId: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
    authority: `${arm}/${tenant}`,
    knownAuthorities: [new URL(arm).host],
  },
});
const first = await app.acquireTokenInteractive({
  scopes: [scope],
  openBrowser: async (url) => say('open', { url }),
  successTemplate: 'signed in',
});
say('code', {
  claims: claims(first.accessToken),
  id: first.idTokenClaims,
  account: first.account.username,
});
const second = await app.acquireTokenSilent({
  scopes: [scope],
  account: first.account,
  forceRefresh: true,
});
say('refresh', {
  claims: claims(second.accessToken),
  other: second.accessToken !== first.accessToken,
});
