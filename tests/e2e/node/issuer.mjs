// A real OpenID provider for the sign-in test: oidc-provider on HTTPS, with its own pages, one client
// for people and one whose access tokens are JWTs of a workload.
//
//   node issuer.mjs PACKAGES PORT KEY CERT CALLBACK
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import fs from 'node:fs';
import https from 'node:https';

const [packages, port, key, cert, callback] = process.argv.slice(2);
const require = createRequire(packages + '/');
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);

const issuer = `https://localhost:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'wayleave',
      client_secret: 'a secret: with colon & more',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
    {
      client_id: 'ci',
      client_secret: 'ci-secret',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
  ],
  cookies: { keys: ['only a test'] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      email: `${id.split('.')[0]}@contoso.example`,
      email_verified: !id.endsWith('.unverified'),
    }),
  }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: 'run',
        audience: 'api://AzureADTokenExchange',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
https
  .createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, provider.callback())
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
