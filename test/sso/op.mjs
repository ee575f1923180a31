// An identity provider for the tests: oidc-provider with one client, accounts in memory, and a sign-in without a page.
// It prints its address when it listens. GET /control?groups=a,b and ?end=1 change what it says of the only account.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [modules, redirect] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(join(modules, 'oidc-provider/lib/index.js')).href);

let groups = ['g-staff'];
let known = true;
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const op = new Provider(issuer, {
    clients: [{
      client_id: 'postern', client_secret: 'a client\'s secret', redirect_uris: [redirect], response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'], id_token_signed_response_alg: 'RS256',
      backchannel_logout_uri: new URL('/sign-in/backchannel-logout', redirect).href, backchannel_logout_session_required: true,
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'offline_access', 'email', 'groups'],
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    // Postern listens on this machine in the tests, which the provider calls nobody on otherwise.
    fetch: (address, { dispatcher, ...options }) => fetch(address, options),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    conformIdTokenClaims: true,
    cookies: { keys: ['a key of the tests'] },
    async findAccount(ctx, id) {
      if (!known) return undefined;
      return { accountId: id, async claims() { return { sub: id, email: 'cleo@example.com', email_verified: true, groups }; } };
    },
  });
  op.on('backchannel.error', (ctx, err) => console.error(`logout: ${err.message}`));
  const callback = op.callback();
  server.on('request', async (req, res) => {
    const url = new URL(req.url, issuer);
    try {
      if (url.pathname === '/control') {
        if (url.searchParams.has('groups')) groups = url.searchParams.get('groups').split(',').filter(Boolean);
        known = !url.searchParams.has('end');
        res.end('done');
      } else if (url.pathname.startsWith('/interaction/')) {
        const details = await op.interactionDetails(req, res);
        if (details.prompt.name === 'login') {
          await op.interactionFinished(req, res, { login: { accountId: 'cleo-1', amr: ['pwd'] } }, { mergeWithLastSubmission: false });
          return;
        }
        const grant = new op.Grant({ accountId: details.session.accountId, clientId: 'postern' });
        grant.addOIDCScope('openid offline_access email groups');
        await op.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
      } else {
        callback(req, res);
      }
    } catch (err) {
      res.statusCode = 500;
      res.end(String(err));
    }
  });
  console.log(issuer);
});
