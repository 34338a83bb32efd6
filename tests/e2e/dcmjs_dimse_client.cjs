// dcmjs-dimse as modality and workstation: asks whether the archive hears, stores files, searches, gets them back, and
// has them moved to itself. Prints what it was told, as JSON. Called with one argument, a JSON of what to do.
const { createHash } = require('node:crypto');
const { Client, Scp, Server, constants, log, requests, responses } = require('dcmjs-dimse');
const { PresentationContextResult, Status, UserIdentityType } = constants;
const { CEchoRequest, CFindRequest, CGetRequest, CMoveRequest, CStoreRequest } = requests;
const { archivePort, ownPort, files, study, user } = JSON.parse(process.argv[2]);

log.level = 'error';

function told(response) {
  const { Pending, Success } = Status;
  const status = { [Pending]: 'pending', [Success]: 'success' }[response.getStatus()] ?? response.getStatus();
  const counts = response.getCompleted ? [response.getCompleted(), response.getFailures()] : [];
  const found = response.hasDataset() ? response.getDataset().getElements() : undefined;
  return { status, counts, name: found && found.PatientName, instances: found && found.NumberOfStudyRelatedInstances };
}

const digest = (buffer) => createHash('sha256').update(Buffer.from(buffer)).digest('hex');

function summary(dataset) {
  const { SOPInstanceUID, PatientName, PixelData } = dataset.getElements();
  return { uid: SOPInstanceUID, name: PatientName, sha256: digest(PixelData[0]) };
}

// Run requests over one association, and return the answers to each.
function run(toRun, options = {}) {
  return new Promise((resolve, reject) => {
    const client = new Client();
    const answers = toRun.map(() => []);
    const stored = [];
    toRun.forEach((request, index) => {
      request.on('response', (response) => answers[index].push(told(response)));
      client.addRequest(request);
    });
    client.on('cStoreRequest', (request, callback) => {
      stored.push(summary(request.getDataset()));
      const response = responses.CStoreResponse.fromRequest(request);
      response.setStatus(Status.Success);
      callback(response);
    });
    client.on('associationRejected', (result) => reject(new Error(`rejected: ${JSON.stringify(result)}`)));
    client.on('networkError', reject);
    client.on('closed', () => resolve({ answers, stored }));
    client.send('127.0.0.1', archivePort, 'NODE', 'FILMLESS', options);
  });
}

const moved = [];

class Workstation extends Scp {
  associationRequested(association) {
    association.getPresentationContexts().forEach(({ id }) => {
      association.getPresentationContext(id).setResult(
        PresentationContextResult.Accept,
        association.getPresentationContext(id).getTransferSyntaxUids()[0],
      );
    });
    this.sendAssociationAccept();
  }

  cStoreRequest(request, callback) {
    moved.push(summary(request.getDataset()));
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

async function main() {
  const server = new Server(Workstation);
  server.listen(ownPort);
  const keys = { StudyInstanceUID: study, PatientName: '', NumberOfStudyRelatedInstances: '' };
  const report = {
    echo: (await run([new CEchoRequest()])).answers[0],
    store: (await run(files.map((file) => new CStoreRequest(file)))).answers.flat(),
    find: (await run([CFindRequest.createStudyFindRequest(keys)])).answers[0],
    get: await run([CGetRequest.createStudyGetRequest(study)]),
    move: (await run([CMoveRequest.createStudyMoveRequest('NODE', study)])).answers[0],
    identified: (await run([new CEchoRequest()], {
      userIdentity: {
        type: UserIdentityType.UsernameAndPasscode,
        primaryField: user,
        secondaryField: 'passcode',
        positiveResponseRequested: true,
      },
    })).answers[0],
    moved,
  };
  server.close();
  console.log(JSON.stringify(report));
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
