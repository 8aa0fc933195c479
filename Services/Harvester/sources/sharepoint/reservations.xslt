<?xml version="1.0" encoding="UTF-8"?>
<!--
  From the Atom feed of a SharePoint calendar list to reservations in the form that records have.

  Columns are named by each site: copy this file, change it, and name the copy in
  Services.Harvester.sharepoint.stylesheet. What it makes is a <reservations> of

    <reservation id="470" account="js1" cancelled="no" recurring="no" consent="yes">
      <title/>
      <summary ref="address of its page">
        <experimenter/> <collaborator/>...
        <reservationStart>2018-11-13T09:00:00</reservationStart> <reservationEnd/>
        <motivation/>
      </summary>
      <sample ref="its identifier elsewhere"> <name/> <description/> <element>Ni</element>... </sample>...
      <project> <name/> <project_id/> </project>
    </reservation>

  of which only id, reservationStart and reservationEnd are needed. Times without a zone are in the instrument's. A list
  has no column for consent of its own: a site that has added one sets consent to yes or no; without it nobody was asked.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:a="http://www.w3.org/2005/Atom"
                xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"
                xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
                xmlns="https://data.nist.gov/od/dm/nexus/experiment/v1.0" exclude-result-prefixes="a d m">

  <!-- People are entries inside entries: only the feed's own are reservations. -->
  <xsl:template match="/a:feed">
    <reservations>
      <xsl:apply-templates select="a:entry"/>
    </reservations>
  </xsl:template>

  <xsl:template match="a:entry">
    <xsl:variable name="row" select="a:content/m:properties"/>
    <xsl:variable name="booked-for" select="a:link[@title = 'UserName']/m:inline//m:properties"/>
    <xsl:variable name="made-by" select="a:link[@title = 'CreatedBy']/m:inline//m:properties"/>
    <xsl:variable name="people" select="$booked-for | $made-by[not($booked-for)]"/>
    <reservation id="{$row/d:Id}" account="{$people[1]/d:UserName}">
      <xsl:attribute name="recurring">
        <xsl:choose>
          <xsl:when test="$row/d:Recurrence = 'true' or $row/d:Recurrence = '1'">yes</xsl:when>
          <xsl:otherwise>no</xsl:otherwise>
        </xsl:choose>
      </xsl:attribute>
      <title>
        <xsl:choose>
          <xsl:when test="normalize-space($row/d:TitleOfExperiment)">
            <xsl:value-of select="$row/d:TitleOfExperiment"/>
          </xsl:when>
          <xsl:otherwise><xsl:value-of select="$row/d:Title"/></xsl:otherwise>
        </xsl:choose>
      </title>
      <summary>
        <xsl:for-each select="$people">
          <xsl:choose>
            <xsl:when test="position() = 1">
              <experimenter><xsl:apply-templates select="." mode="name"/></experimenter>
            </xsl:when>
            <xsl:otherwise>
              <collaborator><xsl:apply-templates select="." mode="name"/></collaborator>
            </xsl:otherwise>
          </xsl:choose>
        </xsl:for-each>
        <reservationStart><xsl:value-of select="$row/d:StartTime"/></reservationStart>
        <reservationEnd><xsl:value-of select="$row/d:EndTime"/></reservationEnd>
        <motivation>
          <xsl:choose>
            <xsl:when test="normalize-space($row/d:ExperimentPurpose)">
              <xsl:value-of select="$row/d:ExperimentPurpose"/>
            </xsl:when>
            <xsl:otherwise><xsl:value-of select="$row/d:Description"/></xsl:otherwise>
          </xsl:choose>
        </motivation>
      </summary>
      <xsl:if test="normalize-space($row/d:SampleDetails)">
        <sample><description><xsl:value-of select="$row/d:SampleDetails"/></description></sample>
      </xsl:if>
      <project><project_id><xsl:value-of select="$row/d:ProjectID"/></project_id></project>
    </reservation>
  </xsl:template>

  <!-- "Smith, Jane (Fed)" is Jane Smith. -->
  <xsl:template match="m:properties" mode="name">
    <xsl:variable name="plain" select="normalize-space(substring-before(concat(d:Name, '('), '('))"/>
    <xsl:choose>
      <xsl:when test="contains($plain, ',')">
        <xsl:value-of select="normalize-space(substring-after($plain, ','))"/>
        <xsl:text> </xsl:text>
        <xsl:value-of select="normalize-space(substring-before($plain, ','))"/>
      </xsl:when>
      <xsl:otherwise><xsl:value-of select="$plain"/></xsl:otherwise>
    </xsl:choose>
  </xsl:template>
</xsl:stylesheet>
