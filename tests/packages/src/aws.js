// Clients of S3, against a fetch of their own.
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { AwsClient } from "aws4fetch";

const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

export default {
  async fetch() {
    const signer = new AwsClient({ ...credentials, service: "s3", region: "us-east-1" });
    const signed = await signer.sign("https://bucket.s3.amazonaws.com/key?a=b", { headers: { "x-amz-date": "20240101T000000Z" }, aws: { datetime: "20240101T000000Z" } });
    const asked = [];
    const s3 = new S3Client({
      region: "us-east-1",
      credentials,
      systemClockOffset: Date.UTC(2024, 0, 1) - Date.now(),
      requestHandler: {
        async handle(request) {
          asked.push([request.method, request.hostname, request.path, request.query, request.headers.host]);
          const list = request.query?.["list-type"] === "2";
          const body = list ? "<?xml version=\"1.0\"?><ListBucketResult><Contents><Key>a</Key><Size>3</Size></Contents></ListBucketResult>" : "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
          return { response: { statusCode: list ? 200 : 404, headers: { "content-type": "application/xml" }, body: new Blob([body]).stream() } };
        },
      },
    });
    const list = await s3.send(new ListObjectsV2Command({ Bucket: "bucket", Prefix: "x/" }));
    const failure = await s3.send(new GetObjectCommand({ Bucket: "bucket", Key: "k" })).catch((error) => [error.name, error.message]);
    return Response.json({ authorization: signed.headers.get("authorization"), asked, list: list.Contents, failure });
  },
};
