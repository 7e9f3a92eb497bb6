package isopach;

import org.apache.beam.runners.spark.SparkJobServerDriver;
import org.apache.beam.sdk.io.FileSystems;
import org.apache.beam.sdk.options.PipelineOptionsFactory;

/**
 * What SparkJobServerDriver.main does, without the one option of it that needs Google Cloud's jars,
 * whose Guava clashes with Spark's.
 */
public final class JobServer {
  private JobServer() {}

  public static void main(String[] args) {
    FileSystems.setDefaultPipelineOptions(PipelineOptionsFactory.create());
    SparkJobServerDriver.fromParams(args).run();
  }
}
